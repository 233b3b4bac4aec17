"""A new pod of the edge is believed as soon as it has an address, before it is ready."""

from concurrent.futures import Future

import pytest

from tests.cluster.images import TRAEFIK_IMAGE
from tests.cluster.scene import SETTLE_SECONDS, Scene
from tests.cluster.workloads import PROXY_LABELS
from tests.controlplane.api import wait_for
from tests.e2e.modes import MODES, Mode
from tests.e2e.report import Report
from tests.e2e.trust_latency import Arrival


@pytest.mark.parametrize("arriving_mode", MODES, ids="-".join)
def test_unready_edge_pod_gets_into_the_config_map_and_the_mount_at_once(
    arriving_mode: Mode, arrivals: dict[Mode, Future[Arrival]], report: Report
) -> None:
    arrival = arrivals[arriving_mode].result()
    report.notes.add(
        f"{'-'.join(arriving_mode)}: a new edge pod is in the ConfigMap after"
        f" {arrival.in_config_map:.2f} s, in the mail server's mount after {arrival.in_mount:.2f} s"
    )


def test_status_says_that_the_running_edge_is_believed(scene: Scene) -> None:
    labels = ",".join(f"{key}={value}" for key, value in PROXY_LABELS.items())
    traefik = {
        pod["metadata"]["name"]
        for pod in scene.live_pods(scene.edge, labels)
        if pod["spec"]["containers"][0]["image"] == TRAEFIK_IMAGE
    }

    def find_believed() -> set[str]:
        proxies = scene.status()["proxies"]
        return {proxy["pod"] for proxy in proxies if proxy.get("believed")}

    wait_for(lambda: find_believed() == traefik, SETTLE_SECONDS, scene.status)
