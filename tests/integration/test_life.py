"""The life of a MailProxy on a real API server: created, edited, broken, fixed, deleted."""

from typing import Any

import pytest

from tests.controlplane.api import Manifest, wait_for
from tests.controlplane.server import ControlPlane
from tests.integration.scene import SETTLE_SECONDS, Scene

DEFAULT_PORTS = ("imap", "imaps", "smtp", "submission", "submissions")


def expected_children(*ports: str) -> set[tuple[str, str]]:
    return {
        ("ConfigMap", "mail-overrides"),
        ("ConfigMap", "mail-trust"),
        ("NetworkPolicy", "mail-proxy-ports"),
        ("Service", "mail-proxy"),
        *(("IngressRouteTCP", f"mail-{port}") for port in ports),
    }


def test_one_object_becomes_all_its_children(scene: Scene) -> None:
    scene.add_all()
    assert set(scene.children()) == expected_children(*DEFAULT_PORTS)
    assert scene.trusted() == ["10.1.0.1", "10.1.0.2"]
    status = scene.status()
    assert status["portsSummary"] == "5/5"
    assert status["traefikVersion"] == "3.7.9"
    assert [proxy["pod"] for proxy in status["proxies"]] == ["traefik-0", "traefik-1"]


def test_children_are_owned_and_carry_nothing_of_the_user(scene: Scene) -> None:
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    manifest = scene.apply()
    labels = {"argocd.argoproj.io/instance": "mail", "team": "post"}
    scene.api.merge_patch("MailProxy", "mail", {"metadata": {"labels": labels}}, scene.mail)
    scene.wait_for_condition("Ready", "True")
    for child in scene.children().values():
        metadata = child["metadata"]
        (owner,) = metadata["ownerReferences"]
        assert owner["uid"] == manifest["metadata"]["uid"]
        assert "blockOwnerDeletion" not in owner
        assert "finalizers" not in metadata
        assert set(metadata["labels"]) == {"app.kubernetes.io/managed-by", "mailproxy.dev/name"}


def test_nothing_is_written_into_the_users_object(scene: Scene) -> None:
    scene.add_all()
    metadata = scene.proxy()["metadata"]
    assert metadata["generation"] == 1
    assert "annotations" not in metadata
    assert "finalizers" not in metadata
    managers = {(m["manager"], m.get("subresource", "")) for m in metadata["managedFields"]}
    assert managers == {("user", ""), ("mailproxy-operator", "status")}


def test_kubectl_can_wait_for_conditions(scene: Scene, control_plane: ControlPlane) -> None:
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply()
    for condition in ("Ready", "TrustReady", "Accepted"):
        answer = control_plane.run_kubectl(
            "wait", f"--for=condition={condition}", "mxp/mail", "-n", scene.mail, "--timeout=20s"
        )
        assert "condition met" in answer.stdout
    scene.remove_proxy_pod("traefik-0")
    answer = control_plane.run_kubectl(
        "wait", "--for=condition=Ready=False", "mxp/mail", "-n", scene.mail, "--timeout=20s"
    )
    assert "condition met" in answer.stdout


def _route(scene: Scene, port: str) -> Manifest:
    found: Manifest = scene.api.get("IngressRouteTCP", f"mail-{port}", scene.mail)["spec"]
    return found


EDITS: list[tuple[dict[str, Any], Any]] = [
    (
        {"ports": [{"name": "imaps"}, {"name": "sieve"}]},
        lambda s: set(s.children()) == expected_children("imaps", "sieve"),
    ),
    (
        {"hostname": "imap.example.org", "ports": [{"name": "imaps", "sni": "Hostname"}]},
        lambda s: (
            _route(s, "imaps")["routes"][0]["match"] == "HostSNI(`imap.example.org`)"
            and _route(s, "imaps")["tls"] == {"passthrough": True}
        ),
    ),
    (
        {"ports": [{"name": "smtp", "entryPoint": "mail-pop3"}]},
        lambda s: _route(s, "smtp")["entryPoints"] == ["mail-pop3"],
    ),
    (
        {"listeners": "Shared"},
        lambda s: (
            "postfix-master.cf" in s.children()["ConfigMap", "mail-overrides"]["data"]
            and "postconf"
            not in s.children()["ConfigMap", "mail-overrides"]["data"]["user-patches.sh"]
            and {p["port"] for p in s.children()["Service", "mail-proxy"]["spec"]["ports"]}
            == {25, 143, 465, 587, 993}
        ),
    ),
    (
        {"edge": {"proxyProtocol": {"version": 1}}},
        lambda s: _route(s, "smtp")["routes"][0]["services"][0]["proxyProtocol"] == {"version": 1},
    ),
    (
        {"edge": {"proxyProtocol": {"field": "ServersTransport"}}},
        lambda s: (
            _route(s, "smtp")["routes"][0]["services"][0].get("serversTransport") == "mail"
            and "proxyProtocol" not in _route(s, "smtp")["routes"][0]["services"][0]
            and ("ServersTransportTCP", "mail") in s.children()
        ),
    ),
    (
        {"edge": {"ingressClassName": "mail-edge"}},
        lambda s: (
            s.children()["IngressRouteTCP", "mail-smtp"]["metadata"].get("annotations")
            == {"kubernetes.io/ingress.class": "mail-edge"}
        ),
    ),
    (
        {"networkPolicy": "Disabled"},
        lambda s: ("NetworkPolicy", "mail-proxy-ports") not in s.children(),
    ),
    (
        {"trust": {"networks": ["192.0.2.0/24"]}},
        lambda s: (
            s.trusted() == ["10.1.0.1", "10.1.0.2", "192.0.2.0/24"]
            and {"ipBlock": {"cidr": "192.0.2.0/24"}}
            in s.children()["NetworkPolicy", "mail-proxy-ports"]["spec"]["ingress"][0]["from"]
        ),
    ),
    (
        {"trust": {"from": "NodePodCIDRs"}},
        lambda s: s.trusted() == ["10.244.1.0/24", "fd00:1::/64"],
    ),
    (
        {"trust": {"from": "None", "networks": ["2001:db8::7/128"]}},
        lambda s: s.trusted() == ["2001:db8::7"],
    ),
    (
        {"mailServer": {"podSelector": {"matchLabels": {"app": "other"}}}},
        lambda s: (
            s.children()["Service", "mail-proxy"]["spec"]["selector"] == {"app": "other"}
            and s.condition("RoutesReady").get("reason") == "NoEndpoints"
        ),
    ),
    (
        {"edge": {"type": "Generic", "podSelector": {"matchLabels": {"app": "haproxy"}}}},
        lambda s: (
            not [key for key in s.children() if key[0] == "IngressRouteTCP"] and s.trusted() == []
        ),
    ),
]


@pytest.mark.parametrize(("spec", "holds"), EDITS, ids=lambda v: str(v)[:60])
def test_edit_reaches_the_children_and_is_undone_again(scene: Scene, spec: Any, holds: Any) -> None:
    scene.add_all()
    before = {key: item.get("spec") or item.get("data") for key, item in scene.children().items()}
    scene.apply(**spec)
    wait_for(lambda: holds(scene), SETTLE_SECONDS, lambda: f"{scene.versions()}")
    scene.apply()

    def is_as_before() -> bool:
        now = {key: item.get("spec") or item.get("data") for key, item in scene.children().items()}
        # Ports come back with what the API server adds; addresses of the Service stay.
        return now == before

    wait_for(is_as_before, SETTLE_SECONDS, lambda: f"{scene.versions()}")
    scene.wait_for_condition("Ready", "True")


def test_deletion_removes_all_children(scene: Scene) -> None:
    scene.add_all()
    scene.api.delete("MailProxy", "mail", scene.mail)
    wait_for(lambda: not scene.children(), SETTLE_SECONDS, lambda: f"left: {set(scene.children())}")


def test_mailproxy_recreated_under_the_same_name_gets_new_children(scene: Scene) -> None:
    scene.add_all()
    old = {item["metadata"]["uid"] for item in scene.children().values()}
    scene.api.delete("MailProxy", "mail", scene.mail)
    scene.apply()
    wait_for(
        lambda: (
            set(scene.children()) == expected_children(*DEFAULT_PORTS)
            and not old & {item["metadata"]["uid"] for item in scene.children().values()}
        ),
        SETTLE_SECONDS,
        "new children of the new owner",
    )
    scene.wait_for_condition("Ready", "True")


def test_suspended_mailproxy_changes_nothing_and_catches_up_when_resumed(scene: Scene) -> None:
    scene.add_all()
    scene.apply(suspend=True)
    scene.wait_for_condition("Ready", "Unknown", "Suspended")
    versions = scene.versions()
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    scene.api.delete("IngressRouteTCP", "mail-smtp", scene.mail)
    del versions["IngressRouteTCP", "mail-smtp"]
    # A second MailProxy that is served afterwards proves that the operator had its chance.
    scene.apply("newer", mailServer={"podSelector": {"matchLabels": {"app": "newer"}}})
    scene.wait_for_condition("Accepted", "False", "Conflict", name="newer")
    assert scene.versions() == versions
    scene.api.delete("MailProxy", "newer", scene.mail)
    scene.apply()
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9")
    wait_for(lambda: ("IngressRouteTCP", "mail-smtp") in scene.children(), SETTLE_SECONDS)
