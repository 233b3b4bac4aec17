"""A client's address can only be lost before Traefik, by the way the edge is published."""

from collections.abc import Iterator

import pytest

from mailproxy.api.mail_services import PortName
from tests.cluster.cluster import Cluster
from tests.cluster.scene import Scene
from tests.cluster.workloads import PROXY_LABELS, build_edge_service
from tests.e2e.modes import FAMILIES
from tests.e2e.report import Report
from tests.e2e.sessions import MailClient

LOCAL, CLUSTER = 41, 42  # indices of LoadBalancer addresses
PORTS = (PortName.IMAPS, PortName.SUBMISSIONS)


@pytest.fixture(scope="module")
def published(cluster: Cluster) -> Iterator[Scene]:
    """Traefik behind two Services and on ports of the node."""
    scene = Scene(cluster, "published", LOCAL)
    scene.create(traefik={"host_ports": True})
    scene.apply(build_edge_service(scene.edge, "cluster", PROXY_LABELS, policy="Cluster"))
    scene.wait_for_banners(scene.publish("cluster", index=CLUSTER)[0])
    yield scene
    scene.delete()


def expect_client(scene: Scene, address: str, client: str, way: str, report: Report) -> None:
    """Use some ports; the log must show this client."""
    mail_client = MailClient(scene, address, way=way)
    for name in PORTS:
        proof = mail_client.prove(name)
        report.add(proof)
        assert proof.client == client, f"expected {client}: {proof.line}"


@FAMILIES
def test_policy_local_keeps_the_address(family: int, published: Scene, report: Report) -> None:
    host = published.cluster.addresses.host[family]
    expect_client(published, published.addresses[family], host, "policy Local", report)


@FAMILIES
def test_policy_cluster_loses_it_before_traefik(
    family: int, published: Scene, report: Report
) -> None:
    address = published.cluster.addresses.load_balancer(CLUSTER)[family]
    gateway = published.cluster.addresses.gateway[family]
    expect_client(published, address, gateway, "policy Cluster", report)


@FAMILIES
def test_host_ports_keep_it(family: int, published: Scene, report: Report) -> None:
    addresses = published.cluster.addresses
    address, host = addresses.node[family], addresses.host[family]
    expect_client(published, address, host, "hostPort", report)
