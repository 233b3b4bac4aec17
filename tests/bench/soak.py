"""Whether the operator stays silent, and small, beside many MailProxies that nobody changes.

The long form of `tests/integration/test_quiet.py`: all that the operator looks at again by itself,
and every watch that the API server ends after a while, falls into this time. Linux only.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.controlplane.crds import mailproxy_crd, traefik_crds
from tests.integration.cluster import Cluster, run_cluster
from tests.integration.silence import serve_many, touch_all, wait_for_silence


def main() -> int:
    """Return 1 if anything was written."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--proxies", type=int, default=200)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_cluster(Path(folder), [*traefik_crds(), mailproxy_crd()]) as cluster,
    ):
        return soak(cluster, options.proxies, options.minutes)


def soak(cluster: Cluster, proxies: int, minutes: float) -> int:
    """Let the operator look at everything once more, and listen."""
    scene = serve_many(cluster, proxies)
    before, memory = len(cluster.audit.writes()), cluster.operator.memory
    touch_all(scene, proxies)
    print(f"{proxies} MailProxies are served; listening for {minutes:g} minutes", flush=True)
    written = wait_for_silence(cluster, minutes * 60)[before:]
    print(f"memory: {memory} MiB before, {cluster.operator.memory} MiB after")
    print(f"writes: {len(written)}")
    for request in written:
        print(f"  {request.verb} {request.resource} {request.name} {request.code}")
    return int(bool(written))


if __name__ == "__main__":
    sys.exit(main())
