"""Other edges than one Traefik: a hop before it, or HAProxy in its place."""

from collections.abc import Iterator

import pytest

from mailproxy.api.spec import Listeners
from mailproxy.plan.ports import MAIL_SERVICES
from tests.cluster.cluster import Cluster
from tests.cluster.haproxy import HAPROXY_LABELS, build_haproxy
from tests.cluster.scene import Scene
from tests.cluster.workloads import (
    PORT_NUMBERS,
    PROXY_LABELS,
    build_edge_service,
    build_traefik,
)
from tests.controlplane.edge import ENTRY_POINTS
from tests.e2e.modes import MODES, Mode, Scenes, become_known, chosen_modes, temporary_scenes
from tests.e2e.report import Report
from tests.e2e.visits import Visitor, prove_all

CHAIN, GENERIC = 20, 24  # indices of LoadBalancer addresses
POINTS = ENTRY_POINTS.values()
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def chains(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """HAProxy in front of Traefik, whose entryPoints believe the header of HAProxy's pod."""

    def create(mode: Mode) -> Scene:
        number = MODES.index(mode)
        scene = Scene(cluster, f"chain-{number}", CHAIN + number, *mode)
        scene.create_namespaces()
        scene.apply(build_edge_service(scene.edge, "traefik", PROXY_LABELS))
        traefik = scene.cluster_ip("traefik", scene.edge)
        scene.apply_all(build_haproxy(scene.edge, traefik, PORT_NUMBERS))
        scene.publish("haproxy")
        pod = scene.wait_for_ready_pod(scene.edge, HAPROXY_LABELS)
        hops = ",".join(address["ip"] for address in pod["status"]["podIPs"])
        trust = [f"--entryPoints.{e.name}.proxyProtocol.trustedIPs={hops}" for e in POINTS]
        scene.apply_all(build_traefik(scene.edge, [scene.mail], trust))
        scene.wait_for_ready_pod(scene.edge, PROXY_LABELS)
        scene.create_mail_server()
        scene.wait_for_banners(scene.addresses[0])
        become_known(scene)
        return scene

    with temporary_scenes(chosen_modes(request, "chain"), create) as scenes:
        yield scenes


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def chain(request: pytest.FixtureRequest, chains: Scenes) -> Scene:
    """One of them."""
    return chains.get(request.param)


@pytest.fixture(scope="module")
def generics(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """HAProxy as the edge, found by the labels of its pod; it sends to the PROXY Service."""

    def create(mode: Mode) -> Scene:
        number = MODES.index(mode)
        scene = Scene(cluster, f"generic-{number}", GENERIC + number, *mode)
        selector = {"matchLabels": HAPROXY_LABELS}
        edge = {"type": "Generic", "namespace": scene.edge, "podSelector": selector}
        scene.create_namespaces()
        scene.apply_mail_proxy(edge=edge)
        target = scene.cluster_ip("mail-proxy", scene.mail)
        ports = {str(s.name): s.target_port(Listeners(scene.listeners)) for s in MAIL_SERVICES}
        scene.apply_all(build_haproxy(scene.edge, target, ports))
        scene.publish("haproxy")
        scene.wait_for_condition("TrustReady", "True")  # Dovecot reads the list when it starts
        scene.create_mail_server(edge=edge)
        scene.wait_for_banners(scene.addresses[0])
        become_known(scene)
        return scene

    with temporary_scenes(chosen_modes(request, "generic"), create) as scenes:
        yield scenes


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def generic(request: pytest.FixtureRequest, generics: Scenes) -> Scene:
    """One of them."""
    return generics.get(request.param)


def prove_client(scene: Scene, family: int, way: str, report: Report) -> None:
    index = 0 if family == 4 else 1
    visitor = Visitor(scene, scene.addresses[index], way=way)
    prove_all(visitor, scene.cluster.addresses.host[index], report)


@FAMILIES
def test_log_shows_the_outermost_client_of_a_chain(
    family: int, chain: Scene, report: Report
) -> None:
    prove_client(chain, family, "HAProxy before Traefik", report)


@FAMILIES
def test_all_ports_work_behind_an_edge_that_is_no_traefik(
    family: int, generic: Scene, report: Report
) -> None:
    prove_client(generic, family, "Generic HAProxy", report)


def test_no_route_is_made_for_an_edge_that_is_no_traefik(generic: Scene) -> None:
    assert not generic.cluster.api.list("IngressRouteTCP", generic.mail)
    assert not generic.cluster.api.list("ServersTransportTCP", generic.mail)
