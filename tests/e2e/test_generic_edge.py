"""An edge other than Traefik: HAProxy, which its user routes to the PROXY Service."""

from collections.abc import Iterator

import pytest

from mailproxy.api.mail_services import MAIL_SERVICES
from tests.cluster.cluster import Cluster
from tests.cluster.haproxy import HAPROXY_LABELS, build_haproxy
from tests.cluster.scene import Scene
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
from tests.e2e.services import proxy_port
from tests.e2e.sessions import check_outside_client

INDEX = 24  # of LoadBalancer addresses


@pytest.fixture(scope="module")
def generics(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """HAProxy as the edge, selected by the labels of its pod; it connects to the PROXY Service."""

    def create(mode: Mode) -> Scene:
        number = MODES.index(mode)
        scene = Scene(cluster, f"generic-{number}", INDEX + number, *mode)
        selector = {"matchLabels": HAPROXY_LABELS}
        edge = {"type": "Generic", "namespace": scene.edge, "podSelector": selector}
        scene.create_namespaces()
        scene.apply_mail_proxy(edge=edge)
        target = scene.cluster_ip("mail-proxy", scene.mail)
        ports = {str(service.name): proxy_port(service, scene) for service in MAIL_SERVICES}
        scene.apply_all(build_haproxy(scene.edge, target, ports))
        scene.publish("haproxy")
        scene.wait_for_condition("TrustReady", "True")  # Dovecot reads the list when it starts
        scene.create_mail_server(edge=edge)
        scene.wait_for_banners(scene.addresses[0])
        pass_postscreen(scene)
        return scene

    with temporary_scenes(chosen_modes(request, "generic"), create) as scenes:
        yield scenes


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def generic(request: pytest.FixtureRequest, generics: Scenes) -> Scene:
    """The scene of a mode."""
    return generics.get(request.param)


@FAMILIES
def test_all_ports_work_and_the_log_shows_the_outside_client(
    family: int, generic: Scene, report: Report
) -> None:
    check_outside_client(generic, family, report, "Generic HAProxy")


def test_no_route_is_created(generic: Scene) -> None:
    assert not generic.cluster.api.list("IngressRouteTCP", generic.mail)
    assert not generic.cluster.api.list("ServersTransportTCP", generic.mail)
