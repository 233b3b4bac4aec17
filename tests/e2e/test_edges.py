"""Other edges than one Traefik: a hop before it, HAProxy in its place, two mail servers behind."""

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.haproxy import HAPROXY_LABELS, build_haproxy
from tests.cluster.scene import Scene
from tests.cluster.workloads import PORT_NUMBERS, PROXY_LABELS, build_edge_service
from tests.controlplane.edge import ENTRY_POINTS, create_namespace
from tests.e2e.conftest import MODES, Mode

CHAIN = 20  # index of LoadBalancer addresses


@pytest.fixture(params=MODES, ids="-".join)
def chain(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scene]:
    """HAProxy in front of Traefik, whose entryPoints believe the header of HAProxy's pod."""
    mode: Mode = request.param
    number = MODES.index(mode)
    scene = Scene(cluster, f"chain-{number}", CHAIN + number, *mode)
    front = f"front-{scene.name}"
    create_namespace(cluster.api, front)
    scene.create_namespaces()
    scene.apply(build_edge_service(scene.edge, "traefik", PROXY_LABELS))
    traefik = scene.cluster_ip("traefik", scene.edge)
    scene.apply_all(build_haproxy(front, traefik, PORT_NUMBERS))
    scene.publish("haproxy", front)
    pod = scene.wait_for_ready_pod(front, HAPROXY_LABELS)
    hops = ",".join(scene.pod_addresses(front, pod["metadata"]["name"]))
    scene.create(
        [f"--entryPoints.{e.name}.proxyProtocol.trustedIPs={hops}" for e in ENTRY_POINTS.values()]
    )
    yield scene
    scene.delete()
    cluster.api.delete("Namespace", front)
