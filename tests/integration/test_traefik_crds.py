"""Traefik's CRDs: missing, too old, upgraded under the operator."""

import copy

from tests.controlplane.api import Manifest, wait_for
from tests.controlplane.crds import install_crds, traefik_crds
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.integration.stage import Stage

NAMES = ("ingressroutetcps.traefik.io", "serverstransporttcps.traefik.io")
ROUTE = ("IngressRouteTCP", "mail-smtp")
QUIET_REQUESTS = 40  # while a minute's rechecks would be a handful; a hot loop makes thousands


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


def test_missing_crds_are_named_and_used_as_soon_as_they_come(stage: Stage) -> None:
    scene = stage.open(with_traefik=False)
    stage.operator.start()
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
    assert "Traceback" not in stage.operator.log


def test_crds_that_go_away_take_the_routes_and_nothing_else(stage: Stage) -> None:
    scene = stage.open()
    stage.operator.start()
    scene.add_all()
    for name in NAMES:
        scene.api.delete("CustomResourceDefinition", name)
    scene.wait_for_condition("RoutesReady", "False", "CRDMissing")
    scene.remove_proxy_pod("traefik-1")
    scene.wait_for_trust("10.1.0.1")
    scene.api.delete("MailProxy", "mail", scene.mail)  # and it can be deleted all the same
    wait_for(lambda: not scene.children(), 60, lambda: f"{set(scene.children())}")


def _requests_for_the_transport(stage: Stage) -> int:
    return len([r for r in stage.audit.writes() if r.resource == "serverstransporttcps"])


def test_crds_too_old_for_a_field_are_named_without_a_hot_loop(stage: Stage) -> None:
    scene = stage.open(with_traefik=False)
    route, transport = sorted(_crds(), key=lambda crd: crd["metadata"]["name"])
    install_crds(scene.api, [route, _outdated(transport, "spec", "proxyProtocol")])
    stage.operator.start()
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply(edge={"proxyProtocol": {"field": "ServersTransport"}})
    found = scene.wait_for_condition("RoutesReady", "False", "CRDOutdated")
    assert ".spec.proxyProtocol" in found["message"]
    assert "ServersTransportTCP mail" in found["message"]
    before = _requests_for_the_transport(stage)
    for number in range(20):  # the busiest edge does not make it a loop
        scene.add_proxy_pod(f"busy-{number}", f"10.5.0.{number + 1}")
    scene.wait_for_trust("10.1.0.1", *(f"10.5.0.{n + 1}" for n in range(20)))
    assert _requests_for_the_transport(stage) - before < QUIET_REQUESTS
    install_crds(scene.api, [transport])
    scene.api.delete("Pod", "busy-0", scene.edge, grace_seconds=0)
    scene.wait_for_condition("Ready", "True")


def test_an_upgrade_of_the_crds_under_it_changes_nothing(stage: Stage) -> None:
    scene = stage.open()
    stage.operator.start()
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
    assert "Traceback" not in stage.operator.log


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
