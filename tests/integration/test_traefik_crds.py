"""Traefik's CRDs: missing, too old, upgraded under the operator."""

import copy
from collections.abc import Iterator

import pytest

from tests.controlplane.api import Api, ApiStatus, Manifest, wait_for
from tests.controlplane.binaries import Binaries
from tests.controlplane.crds import install_crds, mailproxy_crd, traefik_crds
from tests.integration.cluster import Cluster, run_cluster
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.operator_process import OperatorProcess

NAMES = ("ingressroutetcps.traefik.io", "serverstransporttcps.traefik.io")
ROUTE = ("IngressRouteTCP", "mail-smtp")
QUIET_REQUESTS = 40  # while a minute's rechecks would be a handful; a hot loop makes thousands


@pytest.fixture(scope="module")
def cluster(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Of these tests alone: a CRD is there for all namespaces or for none."""
    folder = tmp_path_factory.mktemp("traefik-crds")
    with run_cluster(folder, [mailproxy_crd()], binaries) as cluster:
        yield cluster


@pytest.fixture
def operator(cluster: Cluster) -> OperatorProcess:
    """Not started yet: the CRDs come first."""
    cluster.operator.stop(0)
    return cluster.operator


@pytest.fixture
def scene(cluster: Cluster) -> Iterator[Scene]:
    """An edge and a mail server in namespaces of their own, and no operator."""
    scene = Scene(cluster.api)
    yield scene
    scene.tear_down()


def _crds() -> list[Manifest]:
    return [crd for crd in traefik_crds() if crd["metadata"]["name"] in NAMES]


def _outdated(crd: Manifest, *path: str) -> Manifest:
    """The CRD without one field."""
    old = copy.deepcopy(crd)
    for version in old["spec"]["versions"]:
        node = version["schema"]["openAPIV3Schema"]
        for part in path[:-1]:
            node = node[part] if part == "items" else node["properties"][part]
        del node["properties"][path[-1]]
    return old


def _remove_crds(api: Api) -> None:
    """As on a cluster without Traefik."""
    for name in NAMES:
        try:
            api.delete("CustomResourceDefinition", name)
        except ApiStatus as error:
            if error.reason != "NotFound":
                raise

    def are_gone() -> bool:
        found = {crd["metadata"]["name"] for crd in api.list("CustomResourceDefinition")}
        return not found & set(NAMES)

    wait_for(are_gone, SETTLE_SECONDS)


def test_missing_crds_are_reported_and_used_once_installed(
    scene: Scene, operator: OperatorProcess
) -> None:
    _remove_crds(scene.api)
    operator.start()
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply()
    found = scene.wait_for_condition("RoutesReady", "False", "CRDMissing")
    assert "install Traefik's CRDs" in found["message"]
    scene.wait_for_condition("Ready", "False", "CRDMissing")
    assert scene.trusted() == ["10.1.0.1"]  # all that needs no Traefik is there
    assert {kind for kind, _ in scene.children()} == {"ConfigMap", "NetworkPolicy", "Service"}
    install_crds(scene.api, _crds())
    scene.wait_for_condition("Ready", "True")
    assert ("IngressRouteTCP", "mail-smtp") in scene.children()


def test_deleted_crds_remove_the_routes_and_nothing_else(
    scene: Scene, operator: OperatorProcess
) -> None:
    install_crds(scene.api, _crds())
    operator.start()
    scene.add_all()
    for name in NAMES:
        scene.api.delete("CustomResourceDefinition", name)
    scene.wait_for_condition("RoutesReady", "False", "CRDMissing")
    scene.remove_proxy_pod("traefik-1")
    scene.wait_for_trust("10.1.0.1")
    scene.api.delete("MailProxy", "mail", scene.mail)  # and it can be deleted all the same
    wait_for(lambda: not scene.children(), 60, lambda: f"{set(scene.children())}")


def _requests_for_the_transport(cluster: Cluster, scene: Scene) -> int:
    return len(
        [r for r in cluster.audit.writes(scene.mail) if r.resource == "serverstransporttcps"]
    )


def test_outdated_crds_are_reported_without_a_hot_loop(
    scene: Scene, operator: OperatorProcess, cluster: Cluster
) -> None:
    _remove_crds(scene.api)
    route, transport = sorted(_crds(), key=lambda crd: crd["metadata"]["name"])
    install_crds(scene.api, [route, _outdated(transport, "spec", "proxyProtocol")])
    operator.start()
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply(edge={"proxyProtocol": {"field": "ServersTransport"}})
    found = scene.wait_for_condition("RoutesReady", "False", "CRDOutdated")
    assert ".spec.proxyProtocol" in found["message"]
    assert "ServersTransportTCP mail" in found["message"]
    before = _requests_for_the_transport(cluster, scene)
    for number in range(20):  # the busiest edge does not make it a loop
        scene.add_proxy_pod(f"busy-{number}", f"10.5.0.{number + 1}")
    scene.wait_for_trust("10.1.0.1", *(f"10.5.0.{n + 1}" for n in range(20)))
    assert _requests_for_the_transport(cluster, scene) - before < QUIET_REQUESTS
    install_crds(scene.api, [transport])
    scene.api.delete("Pod", "busy-0", scene.edge, grace_seconds=0)
    scene.wait_for_condition("Ready", "True")


def test_upgrade_of_the_crds_changes_nothing(scene: Scene, operator: OperatorProcess) -> None:
    install_crds(scene.api, _crds())
    operator.start()
    scene.add_all()
    for round_number in range(3):
        for crd in _crds():
            _upgrade(scene, crd, f"upgrade{round_number}")
        wait_for(lambda: ROUTE in scene.children(), SETTLE_SECONDS)  # 429 is over for us
        before = scene.versions()
        scene.api.delete(*ROUTE, scene.mail)  # is a change seen through the new storage?
        _wait_for_another(scene, before[ROUTE])
        assert {k for k, v in scene.versions().items() if before[k] != v} == {ROUTE}
    scene.wait_for_condition("Ready", "True")


def _wait_for_another(scene: Scene, version: str) -> None:
    wait_for(
        lambda: scene.versions().get(ROUTE, version) != version,
        SETTLE_SECONDS,
        "the deleted route to come back",
    )


def _upgrade(scene: Scene, crd: Manifest, field: str) -> None:
    """Add a field, as a newer Traefik would."""
    newer = copy.deepcopy(crd)
    for version in newer["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        spec["properties"][field] = {"type": "string"}
    scene.api.apply(newer)
