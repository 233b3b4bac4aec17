"""A new pod of the edge is believed as soon as it has an address, before it is ready."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.cluster.scene import Scene
from tests.cluster.workloads import PROXY_LABELS, build_pod
from tests.controlplane.api import wait_for
from tests.e2e.modes import MODES, Mode, Scenes, chosen_modes
from tests.e2e.report import Report

NEWCOMER = "newcomer"
TRUST_FILE = "/etc/mailproxy/trust/dovecot-trust.conf"
AT_ONCE_SECONDS = 5.0
KUBELET_SECONDS = 110.0  # it looks again after 60 to 90 s, whoever has changed what


@dataclass(frozen=True)
class Arrival:
    """Seconds from the moment a pod has addresses until these stand in the list."""

    in_config_map: float
    in_mount: float


def watch_arrival(scene: Scene) -> Arrival:
    """Add a pod to the edge that never becomes ready, and follow its addresses.

    Raises:
        AssertionError: They are not there in time.
    """
    scene.apply(build_pod(scene.edge, NEWCOMER, PROXY_LABELS, ready=False))
    addresses = set(scene.pod_addresses(scene.edge, NEWCOMER))
    began = time.monotonic()

    def in_config_map() -> bool:
        data = scene.cluster.api.get("ConfigMap", "mail-trust", scene.mail)["data"]
        return addresses <= read_trusted(data["dovecot-trust.conf"])

    def in_mount() -> bool:
        return addresses <= read_trusted(scene.run_in_mail_server("cat", TRUST_FILE))

    wait_for(in_config_map, AT_ONCE_SECONDS, f"{addresses} in the ConfigMap")
    mapped = time.monotonic()
    wait_for(in_mount, KUBELET_SECONDS, f"{addresses} in {TRUST_FILE}", interval=2)
    return Arrival(mapped - began, time.monotonic() - began)


def read_trusted(text: str) -> set[str]:
    """Addresses in the file that Dovecot includes."""
    return set(text.partition("=")[2].split())


@pytest.fixture(scope="module")
def arrivals(
    request: pytest.FixtureRequest, standard_scenes: Scenes
) -> Iterator[dict[Mode, Future[Arrival]]]:
    """One in each scene; the kubelet takes its time in all of them at once."""
    modes = chosen_modes(request, "standard_mode")
    scenes = {mode: standard_scenes.get(mode) for mode in modes}
    with ThreadPoolExecutor(max(1, len(scenes))) as pool:
        yield {mode: pool.submit(watch_arrival, scene) for mode, scene in scenes.items()}
    for scene in scenes.values():
        scene.cluster.api.delete("Pod", NEWCOMER, scene.edge)


@pytest.mark.parametrize("standard_mode", MODES, ids="-".join)
def test_unready_edge_pod_gets_into_the_config_map_at_once_and_then_into_the_mount(
    standard_mode: Mode, arrivals: dict[Mode, Future[Arrival]], report: Report
) -> None:
    arrival = arrivals[standard_mode].result()
    report.notes.add(
        f"{'-'.join(standard_mode)}: a new edge pod is in the ConfigMap after"
        f" {arrival.in_config_map:.2f} s, in the mail server's mount after {arrival.in_mount:.0f} s"
    )
