"""A new pod of the edge is trusted as soon as it has an address, before it is ready."""

from concurrent.futures import Future

import pytest

from tests.cluster.images import TRAEFIK_IMAGE
from tests.cluster.scene import SETTLE_SECONDS, Scene
from tests.cluster.workloads import PROXY_LABELS
from tests.controlplane.api import wait_for
from tests.e2e.modes import MODES, Mode
from tests.e2e.report import Report
from tests.e2e.trust_latency import TrustLatency


@pytest.mark.parametrize("latency_mode", MODES, ids="-".join)
def test_unready_edge_pod_is_in_the_config_map_and_the_mount_at_once(
    latency_mode: Mode, trust_latencies: dict[Mode, Future[TrustLatency]], report: Report
) -> None:
    latency = trust_latencies[latency_mode].result()
    report.notes.add(
        f"{'-'.join(latency_mode)}: a new edge pod is in the ConfigMap after"
        f" {latency.in_config_map:.2f} s, in the mail server's mount after {latency.in_mount:.2f} s"
    )


def test_status_shows_that_headers_of_the_running_edge_are_accepted(scene: Scene) -> None:
    labels = ",".join(f"{key}={value}" for key, value in PROXY_LABELS.items())
    traefik = {
        pod["metadata"]["name"]
        for pod in scene.live_pods(scene.edge, labels)
        if pod["spec"]["containers"][0]["image"] == TRAEFIK_IMAGE
    }

    def find_accepted() -> set[str]:
        proxies = scene.status()["proxies"]
        return {proxy["pod"] for proxy in proxies if proxy.get("headerAccepted")}

    wait_for(lambda: find_accepted() == traefik, SETTLE_SECONDS, scene.status)
