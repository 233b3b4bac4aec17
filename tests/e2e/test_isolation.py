"""With the NetworkPolicy only the edge reaches a PROXY port, and nothing else changes."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from mailproxy.api.mail_services import MAIL_SERVICES
from tests.cluster.scene import INSIDER, Scene
from tests.cluster.workloads import NAME, PROXY_LABELS, build_pod
from tests.controlplane.api import wait_for
from tests.controlplane.edge import create_namespace
from tests.e2e.modes import MODES, Mode, Scenes, chosen_modes, run_concurrently
from tests.e2e.reach import Target, expect, reach, reach_from_pod
from tests.e2e.services import proxy_ports

NORMAL_PORTS = [service.port for service in MAIL_SERVICES]
OTHER_PORT = 8000  # of another program in the mail server's pod
POLICY_SECONDS = 60.0
PROBE_SECONDS = 60.0
OTHER_POD = "other-pod"
OTHERS = (
    "pod of the mail server's namespace",
    "pod of the edge's namespace without the labels",
    "pod with the labels in another namespace",
    "outside client",
)


Reached = dict[str, dict[Target, str]]  # states by name, of `OTHERS` and the edge


@dataclass(frozen=True)
class Isolated:
    """A scene with its NetworkPolicy.

    Attributes:
        probes_before: Of the kubelet in the mail server's log, when the policy took effect.
    """

    scene: Scene
    probes_before: int
    reached: Reached


@pytest.fixture(scope="module")
def isolations(
    request: pytest.FixtureRequest, standard_scenes: Scenes
) -> Iterator[dict[Mode, Future[Isolated]]]:
    """The standard scenes with their NetworkPolicies, until all tests of this module are done."""

    @contextmanager
    def run(mode: Mode) -> Iterator[Isolated]:
        scene = standard_scenes.get(mode)
        with isolation(scene):
            yield Isolated(scene, count_probes(scene), reach_from_everywhere(scene))

    with run_concurrently(chosen_modes(request, "isolated"), run) as isolations:
        yield isolations


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def isolated(request: pytest.FixtureRequest, isolations: dict[Mode, Future[Isolated]]) -> Isolated:
    """The scene of a mode."""
    return isolations[request.param].result()


@contextmanager
def isolation(scene: Scene) -> Iterator[None]:
    """A NetworkPolicy, and a program that listens on `OTHER_PORT`."""
    listen = f"setsid python3 -m http.server {OTHER_PORT} --bind :: >/dev/null 2>&1 &"
    scene.run_in_mail_server("bash", "-c", listen)
    some_port = find_targets(scene, proxy_ports(scene))[0]
    scene.apply_mail_proxy(networkPolicy="Enabled")
    wait_for(lambda: reach([some_port])[some_port] == "dropped", POLICY_SECONDS, "it is enforced")
    yield
    scene.apply_mail_proxy(networkPolicy="Disabled")
    wait_for(lambda: reach([some_port])[some_port] == "open", POLICY_SECONDS, "it is gone")


def reach_from_everywhere(scene: Scene) -> Reached:
    """States of all ports of the mail server's pod for each source, tried concurrently."""
    foreign = f"foreign-{scene.name}"
    create_namespace(scene.cluster.api, foreign)
    pods = {
        "pod of the mail server's namespace": (scene.mail, OTHER_POD),
        "pod of the edge's namespace without the labels": (scene.edge, OTHER_POD),
        "pod with the labels in another namespace": (foreign, OTHER_POD),
        "pod of the edge": (scene.edge, INSIDER),
    }
    others = [namespace for namespace, name in pods.values() if name == OTHER_POD]
    for namespace in others:
        labels = PROXY_LABELS if namespace == foreign else {}
        scene.apply(build_pod(namespace, OTHER_POD, labels))
    for namespace in others:
        scene.wait_for_ready_pod(namespace, {NAME: OTHER_POD})
    targets = find_targets(scene, [*proxy_ports(scene), *open_ports(scene)])
    with ThreadPoolExecutor(len(pods) + 1) as pool:
        found = {
            who: pool.submit(reach_from_pod, targets, scene.run_in(*pod))
            for who, pod in pods.items()
        }
        found["outside client"] = pool.submit(reach, targets)
    for namespace in others:
        scene.cluster.api.delete("Pod", OTHER_POD, namespace)
    scene.cluster.api.delete("Namespace", foreign)
    return {who: states.result() for who, states in found.items()}


def count_probes(scene: Scene) -> int:
    """Connections of the kubelet in the mail server's log."""
    return scene.logs().count(f"rip={scene.cluster.addresses.gateway[0]}")


def open_ports(scene: Scene) -> list[int]:
    """Ports of the mail server's pod that are open to all."""
    return [*NORMAL_PORTS, OTHER_PORT] if scene.listeners == "Separate" else [OTHER_PORT]


def find_targets(scene: Scene, ports: list[int]) -> list[Target]:
    """These ports, at both addresses of the mail server's pod."""
    pod = scene.mail_pod()["metadata"]["name"]
    return [(address, port) for address in scene.pod_addresses(scene.mail, pod) for port in ports]


@pytest.mark.parametrize("who", OTHERS)
def test_only_the_edge_reaches_a_proxy_port(who: str, isolated: Isolated) -> None:
    scene = isolated.scene
    expect(isolated.reached[who], find_targets(scene, proxy_ports(scene)), "dropped")


@pytest.mark.parametrize("who", OTHERS)
def test_every_other_port_stays_open(who: str, isolated: Isolated) -> None:
    scene = isolated.scene
    expect(isolated.reached[who], find_targets(scene, open_ports(scene)), "open")


def test_pods_of_the_edge_reach_every_port(isolated: Isolated) -> None:
    scene = isolated.scene
    ports = [*proxy_ports(scene), *open_ports(scene)]
    expect(isolated.reached["pod of the edge"], find_targets(scene, ports), "open")


def test_probes_of_the_kubelet_continue(isolated: Isolated) -> None:
    scene = isolated.scene
    wait_for(
        lambda: count_probes(scene) > isolated.probes_before,
        PROBE_SECONDS,
        "one more probe from the kubelet in the mail server's log",
    )
    assert scene.is_mail_server_ready()
