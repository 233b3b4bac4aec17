"""With the NetworkPolicy nobody but the edge reaches a PROXY port, and nothing else changes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailproxy.plan.ports import MAIL_SERVICES
from tests.cluster.scene import INSIDER, Scene
from tests.cluster.workloads import PROXY_LABELS
from tests.controlplane.api import wait_for
from tests.controlplane.edge import create_namespace
from tests.e2e.reach import Target, reach, reach_from_pod
from tests.e2e.services import proxy_ports

NORMAL_PORTS = [service.port for service in MAIL_SERVICES]
OTHER_PORT = 8000  # something of the user's own in the mail server's pod
POLICY_SECONDS = 10.0
PROBE_SECONDS = 30.0
STRANGER = "stranger"
STRANGERS = (
    "evil pod",
    "pod of the edge's namespace without the labels",
    "pod with the labels in another namespace",
    "outside client",
)


@pytest.fixture(scope="session")
def isolated(scene: Scene) -> Iterator[Scene]:
    """The scene with its NetworkPolicy, and with something that listens on `OTHER_PORT`."""
    listen = f"setsid python3 -m http.server {OTHER_PORT} --bind :: >/dev/null 2>&1 &"
    scene.run_in_mail_server("bash", "-c", listen)
    some_port = find_targets(scene, proxy_ports(scene))[0]
    scene.apply_mail_proxy(networkPolicy="Enabled")
    wait_for(lambda: reach([some_port])[some_port] == "dropped", POLICY_SECONDS, "it is enforced")
    yield scene
    scene.apply_mail_proxy(networkPolicy="Disabled")
    wait_for(lambda: reach([some_port])[some_port] == "open", POLICY_SECONDS, "it is gone")


@pytest.fixture(scope="session")
def reached(isolated: Scene) -> dict[str, dict[Target, str]]:
    """What each of these finds at all ports of the mail server's pod; all ask at once."""
    foreign = f"foreign-{isolated.name}"
    create_namespace(isolated.cluster.api, foreign)
    pods = {
        "evil pod": (isolated.mail, STRANGER),
        "pod of the edge's namespace without the labels": (isolated.edge, STRANGER),
        "pod with the labels in another namespace": (foreign, STRANGER),
        "pod of the edge": (isolated.edge, INSIDER),
    }
    for namespace, name in pods.values():
        if name == STRANGER:
            isolated.add_pod(namespace, name, PROXY_LABELS if namespace == foreign else {})
    targets = find_targets(isolated, [*proxy_ports(isolated), *open_ports(isolated)])
    with ThreadPoolExecutor(len(pods) + 1) as pool:
        found = {
            who: pool.submit(reach_from_pod, targets, isolated.run_in(*pod))
            for who, pod in pods.items()
        }
        found["outside client"] = pool.submit(reach, targets)
    for namespace, name in pods.values():
        if name == STRANGER:
            isolated.cluster.api.delete("Pod", name, namespace)
    isolated.cluster.api.delete("Namespace", foreign)
    return {who: states.result() for who, states in found.items()}


def open_ports(scene: Scene) -> list[int]:
    """Ports of the mail server's pod that are everybody's."""
    return [*NORMAL_PORTS, OTHER_PORT] if scene.listeners == "Separate" else [OTHER_PORT]


def find_targets(scene: Scene, ports: list[int]) -> list[Target]:
    """These ports, at both addresses of the mail server's pod."""
    pod = scene.mail_pod()["metadata"]["name"]
    return [(address, port) for address in scene.pod_addresses(scene.mail, pod) for port in ports]


def expect(states: dict[Target, str], targets: list[Target], expected: str) -> None:
    others = {target: states[target] for target in targets if states[target] != expected}
    assert not others, f"should be {expected}: {others}"


@pytest.mark.parametrize("who", STRANGERS)
def test_nobody_but_the_edge_reaches_a_proxy_port(
    who: str, isolated: Scene, reached: dict[str, dict[Target, str]]
) -> None:
    expect(reached[who], find_targets(isolated, proxy_ports(isolated)), "dropped")


@pytest.mark.parametrize("who", STRANGERS)
def test_every_other_port_stays_open(
    who: str, isolated: Scene, reached: dict[str, dict[Target, str]]
) -> None:
    expect(reached[who], find_targets(isolated, open_ports(isolated)), "open")


def test_pods_of_the_edge_reach_every_port(
    isolated: Scene, reached: dict[str, dict[Target, str]]
) -> None:
    ports = [*proxy_ports(isolated), *open_ports(isolated)]
    expect(reached["pod of the edge"], find_targets(isolated, ports), "open")


def test_probes_of_the_kubelet_go_on(isolated: Scene) -> None:
    kubelet = isolated.cluster.addresses.gateway[0]
    before = isolated.logs().count(f"rip={kubelet}")
    wait_for(
        lambda: isolated.logs().count(f"rip={kubelet}") > before,
        PROBE_SECONDS,
        f"one more probe from {kubelet} in the mail server's log",
    )
    assert isolated.is_mail_server_ready()
