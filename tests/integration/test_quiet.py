"""A hundred MailProxies, and then silence; `make soak` has more of both."""

from pathlib import Path

import pytest

from tests.controlplane.binaries import Binaries
from tests.controlplane.crds import mailproxy_crd, traefik_crds
from tests.integration.cluster import run_cluster
from tests.integration.silence import serve_many, touch_all, wait_for_silence

PROXIES = 100
QUIET_SECONDS = 20.0


@pytest.mark.timeout(600)
def test_a_hundred_follow_one_edge_and_then_nothing_is_written(
    binaries: Binaries, tmp_path: Path
) -> None:
    # On a control plane of its own, which is killed: to delete so much takes longer than to start.
    with run_cluster(tmp_path, [*traefik_crds(), mailproxy_crd()], binaries) as cluster:
        scene = serve_many(cluster, PROXIES)
        before = len(cluster.audit.writes())
        touch_all(scene, PROXIES)
        assert wait_for_silence(cluster, QUIET_SECONDS)[before:] == []
