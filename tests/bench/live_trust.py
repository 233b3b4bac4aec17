"""How soon a running mail server accepts headers from a new edge pod, and rejects an old address.

In a real cluster, for Dovecot 2.3 and 2.4, while clients log in and send mail. The floor is a
login through a pod that is accepted already, in the same run. Without the volume refresh the
kubelet updates the mounted list in its own period.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.cluster.addresses import DUAL_STACK, IPV6_ONLY
from tests.cluster.cluster import Cluster
from tests.cluster.operator import install_operator
from tests.cluster.scene import Scene
from tests.e2e.client_load import ClientLoad
from tests.e2e.replacement import (
    IMAP,
    REPLICAS,
    addresses_of,
    find_edge_pods,
    log_in,
    read_reloads,
    replace_often,
    time_first_login,
)

NUMBER = 7  # `make cluster` is 1, the tests are others


def main() -> None:
    """Print medians and maxima in seconds, and their ratio to the floor."""
    parser = argparse.ArgumentParser(prog="make bench-live", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--without-volume-refresh", action="store_true")
    parser.add_argument("--ipv6-only", action="store_true")
    options = parser.parse_args()
    families = IPV6_ONLY if options.ipv6_only else DUAL_STACK
    with Cluster(NUMBER, families) as cluster, ThreadPoolExecutor() as pool:
        install_operator(cluster, "minimal" if options.without_volume_refresh else "default")
        versions = ("2.3", "2.4")
        scenes = [Scene(cluster, f"live-{n}", 1 + n, dovecot=v) for n, v in enumerate(versions)]
        list(pool.map(lambda scene: scene.create(traefik=REPLICAS), scenes))
        if options.without_volume_refresh:  # mostly waiting
            list(pool.map(lambda scene: _measure(scene, options.rounds), scenes))
        else:
            for scene in scenes:
                _measure(scene, options.rounds)


def _measure(scene: Scene, rounds: int) -> None:
    (address, *_) = (addresses_of(pod)[0] for pod in find_edge_pods(scene).values())
    time_first_login(address)
    floor = [_time_login(address) for _ in range(rounds)]
    since = scene.log_size()
    with ClientLoad(scene) as load:
        times = replace_often(scene, rounds, lambda text: print(scene.name, text, file=sys.stderr))
    reloads = read_reloads(scene, since)
    print(
        f"Dovecot {scene.dovecot}; meanwhile {load.logins} logins, {load.deliveries} deliveries,"
        f" {len(load.find_cut_off(reloads))} cut off by one of {len(reloads)} reloads,"
        f" {len(load.failures)} failures in all"
    )
    for failure in load.failures:
        print(f"  {failure}", file=sys.stderr)
    _report("one login (floor)", floor, floor)
    _report("edge pod has an address -> Dovecot has reloaded", times.reloaded, floor)
    _report("edge pod has an address -> login through it", times.accepted, floor)
    _report("edge pod gone -> its address rejected", times.rejected, floor)


def _time_login(address: str) -> float:
    began = time.monotonic()
    failure = log_in(address, IMAP.port)
    assert not failure, failure
    return time.monotonic() - began


def _report(name: str, seconds: Sequence[float], floor: Sequence[float]) -> None:
    median, most = statistics.median(seconds), max(seconds)
    ratio = median / statistics.median(floor)
    print(f"  {name:48} median {median:6.2f} s  maximum {most:6.2f} s  {ratio:6.1f} x floor")


if __name__ == "__main__":
    main()
