"""With the NetworkPolicy nobody but the edge reaches a PROXY port, and nothing else changes."""

from collections.abc import Iterator

import pytest

from mailproxy.plan.ports import MAIL_SERVICES
from tests.cluster.scene import INSIDER, Scene
from tests.cluster.workloads import PROXY_LABELS
from tests.controlplane.api import wait_for
from tests.controlplane.edge import create_namespace
from tests.e2e.reach import Target, reach, reach_from_pod

EXTRA_PORTS = [service.proxy_port for service in MAIL_SERVICES]
NORMAL_PORTS = [service.port for service in MAIL_SERVICES]
OTHER_PORT = 8000  # something of the user's own in the mail server's pod
POLICY_SECONDS = 10.0
PROBE_SECONDS = 30.0


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
def evil_pod(isolated: Scene) -> Iterator[tuple[str, str]]:
    """A pod beside the mail server."""
    yield from stranger(isolated, isolated.mail, {})


@pytest.fixture(scope="session")
def unlabelled_pod(isolated: Scene) -> Iterator[tuple[str, str]]:
    """A pod in the edge's namespace that is none of the edge's."""
    yield from stranger(isolated, isolated.edge, {})


@pytest.fixture(scope="session")
def foreign_pod(isolated: Scene) -> Iterator[tuple[str, str]]:
    """A pod with the edge's labels in a namespace that is not the edge's."""
    namespace = f"foreign-{isolated.name}"
    create_namespace(isolated.cluster.api, namespace)
    yield from stranger(isolated, namespace, PROXY_LABELS)
    isolated.cluster.api.delete("Namespace", namespace)


def stranger(scene: Scene, namespace: str, labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    scene.add_pod(namespace, "stranger", labels)
    yield namespace, "stranger"
    scene.cluster.api.delete("Pod", "stranger", namespace)


def proxy_ports(scene: Scene) -> list[int]:
    """Ports on which the mail server expects a header."""
    return EXTRA_PORTS if scene.listeners == "Separate" else NORMAL_PORTS


def open_ports(scene: Scene) -> list[int]:
    """Ports of the mail server's pod that are everybody's."""
    return [*NORMAL_PORTS, OTHER_PORT] if scene.listeners == "Separate" else [OTHER_PORT]


def find_targets(scene: Scene, ports: list[int]) -> list[Target]:
    """These ports, at both addresses of the mail server's pod."""
    pod = scene.mail_pod()["metadata"]["name"]
    return [(address, port) for address in scene.pod_addresses(scene.mail, pod) for port in ports]


def expect(states: dict[Target, str], expected: str, whose: str) -> None:
    others = {target: state for target, state in states.items() if state != expected}
    assert not others, f"{whose} should find all ports {expected}, but: {others}"


@pytest.mark.parametrize("who", ["evil_pod", "unlabelled_pod", "foreign_pod"])
def test_no_other_pod_reaches_a_proxy_port(
    who: str, isolated: Scene, request: pytest.FixtureRequest
) -> None:
    run = isolated.run_in(*request.getfixturevalue(who))
    targets = find_targets(isolated, proxy_ports(isolated))
    expect(reach_from_pod(targets, run), "dropped", who)


@pytest.mark.parametrize("who", ["evil_pod", "unlabelled_pod", "foreign_pod"])
def test_every_other_port_stays_open_for_pods(
    who: str, isolated: Scene, request: pytest.FixtureRequest
) -> None:
    run = isolated.run_in(*request.getfixturevalue(who))
    expect(reach_from_pod(find_targets(isolated, open_ports(isolated)), run), "open", who)


def test_no_outside_client_reaches_a_proxy_port(isolated: Scene) -> None:
    expect(reach(find_targets(isolated, proxy_ports(isolated))), "dropped", "an outside client")


def test_every_other_port_stays_open_for_outside_clients(isolated: Scene) -> None:
    expect(reach(find_targets(isolated, open_ports(isolated))), "open", "an outside client")


def test_pods_of_the_edge_reach_every_proxy_port(isolated: Scene) -> None:
    run = isolated.run_in(isolated.edge, INSIDER)
    targets = find_targets(isolated, proxy_ports(isolated))
    expect(reach_from_pod(targets, run), "open", "a pod of the edge")


def test_probes_of_the_kubelet_go_on(isolated: Scene) -> None:
    kubelet = isolated.cluster.addresses.gateway[0]
    before = isolated.logs().count(f"rip={kubelet}")
    wait_for(
        lambda: isolated.logs().count(f"rip={kubelet}") > before,
        PROBE_SECONDS,
        f"one more probe from {kubelet} in the mail server's log",
    )
    assert isolated.is_mail_server_ready()
