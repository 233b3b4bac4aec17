"""HAProxy in front of Traefik: it sends the PROXY protocol to Traefik, which passes it on."""

from collections.abc import Iterator

import pytest

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
from tests.e2e.modes import (
    FAMILIES,
    MODES,
    Mode,
    Scenes,
    chosen_modes,
    pass_postscreen,
    temporary_scenes,
)
from tests.e2e.report import Report
from tests.e2e.sessions import check_outside_client

INDEX = 20  # of LoadBalancer addresses
POINTS = ENTRY_POINTS.values()


@pytest.fixture(scope="module")
def chains(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """HAProxy in front of Traefik, whose entryPoints accept headers from HAProxy's pod."""

    def create(mode: Mode) -> Scene:
        number = MODES.index(mode)
        scene = Scene(cluster, f"chain-{number}", INDEX + number, *mode)
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
        pass_postscreen(scene)
        return scene

    with temporary_scenes(chosen_modes(request, "chain"), create) as scenes:
        yield scenes


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def chain(request: pytest.FixtureRequest, chains: Scenes) -> Scene:
    """The chain of a mode."""
    return chains.get(request.param)


@FAMILIES
def test_log_shows_the_outermost_client(family: int, chain: Scene, report: Report) -> None:
    check_outside_client(chain, family, report, "HAProxy before Traefik")
