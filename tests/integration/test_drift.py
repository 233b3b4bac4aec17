"""Children that others edit, delete or own."""

import pytest

from tests.controlplane.api import Manifest, wait_for
from tests.integration.scene import SETTLE_SECONDS, Scene

EDITS = [
    ("Service", "mail-proxy", {"spec": {"type": "LoadBalancer"}}),
    ("Service", "mail-proxy", {"spec": {"externalIPs": ["192.0.2.99"]}}),
    ("Service", "mail-proxy", {"spec": {"selector": {"app": "other"}}}),
    (
        "ConfigMap",
        "mail-trust",
        {"data": {"dovecot-trust.conf": "haproxy_trusted_networks = ::/0"}},
    ),
    ("ConfigMap", "mail-overrides", {"data": {"user-patches.sh": None}}),
    ("IngressRouteTCP", "mail-smtp", {"spec": {"entryPoints": ["web"]}}),
    ("IngressRouteTCP", "mail-imaps", {"spec": {"routes": []}}),
    ("NetworkPolicy", "mail-proxy-ports", {"spec": {"ingress": [{}]}}),
    ("ConfigMap", "mail-trust", {"metadata": {"labels": {"mailproxy.dev/name": None}}}),
    ("ConfigMap", "mail-trust", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}),
    ("ConfigMap", "mail-trust", {"metadata": {"ownerReferences": None}}),
    ("ConfigMap", "mail-trust", {"metadata": {"annotations": {"mailproxy.dev/edge-pods": "{}"}}}),
]


def _essence(item: Manifest) -> Manifest:
    volatile = ("resourceVersion", "managedFields", "generation")
    metadata = {k: v for k, v in item["metadata"].items() if k not in volatile}
    spec = dict(item.get("spec") or {})
    for given_by_the_server in ("healthCheckNodePort", "allocateLoadBalancerNodePorts"):
        spec.pop(given_by_the_server, None)
    return {"metadata": metadata, "spec": spec, "data": item.get("data")}


@pytest.mark.parametrize(("kind", "name", "patch"), EDITS)
def test_edited_child_is_restored(scene: Scene, kind: str, name: str, patch: Manifest) -> None:
    scene.add_all()
    before = _essence(scene.api.get(kind, name, scene.mail))
    scene.api.merge_patch(kind, name, patch, scene.mail)
    wait_for(
        lambda: _essence(scene.api.get(kind, name, scene.mail)) == before,
        SETTLE_SECONDS,
        lambda: f"{scene.api.get(kind, name, scene.mail)}",
    )


def test_deleted_child_is_restored(scene: Scene) -> None:
    scene.add_all()
    before = {key: item["metadata"]["uid"] for key, item in scene.children().items()}
    for kind, name in before:
        scene.api.delete(kind, name, scene.mail)
    wait_for(
        lambda: (
            set(scene.children()) == set(before)
            and all(c["metadata"]["uid"] != before[key] for key, c in scene.children().items())
        ),
        SETTLE_SECONDS,
        lambda: f"{set(scene.children())}",
    )


def test_what_others_add_beside_our_fields_stays(scene: Scene) -> None:
    scene.add_all()
    patch = {"metadata": {"annotations": {"example.com/note": "kept"}}}
    scene.api.merge_patch("ConfigMap", "mail-trust", patch, scene.mail)
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9")
    annotations = scene.api.get("ConfigMap", "mail-trust", scene.mail)["metadata"]["annotations"]
    assert annotations["example.com/note"] == "kept"


FOREIGN = [
    {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mine": "1"}},
    {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"selector": {"app": "mine"}, "ports": [{"port": 1, "protocol": "TCP"}]},
    },
    {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRouteTCP",
        "spec": {"routes": [{"match": "HostSNI(`mine`)", "services": []}]},
    },
]
NAMES = {"ConfigMap": "mail-trust", "Service": "mail-proxy", "IngressRouteTCP": "mail-imap"}


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda manifest: manifest["kind"])
def test_foreign_object_with_our_name_is_reported_and_left_alone(
    scene: Scene, foreign: Manifest
) -> None:
    kind = foreign["kind"]
    metadata = {"name": NAMES[kind], "namespace": scene.mail}
    made = scene.api.create(foreign | {"metadata": metadata})
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply()
    condition = "TrustReady" if kind == "ConfigMap" else "RoutesReady"
    found = scene.wait_for_condition(condition, "False", "NotOwned")
    assert f"{kind} {NAMES[kind]}" in found["message"]
    assert "delete or rename" in found["message"]
    scene.wait_for_condition("Ready", "False", "NotOwned")
    now = scene.api.get(kind, NAMES[kind], scene.mail)
    assert now["metadata"]["uid"] == made["metadata"]["uid"]
    assert now["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_child_is_created_when_the_foreign_object_is_gone(scene: Scene) -> None:
    metadata = {"name": "mail-proxy", "namespace": scene.mail}
    scene.api.create(FOREIGN[1] | {"metadata": metadata})
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply()
    scene.wait_for_condition("RoutesReady", "False", "NotOwned")
    scene.api.delete("Service", "mail-proxy", scene.mail)
    scene.add_proxy_pod("traefik-7", "10.1.0.7")  # any change has it looked at again at once
    scene.wait_for_condition("Ready", "True")
