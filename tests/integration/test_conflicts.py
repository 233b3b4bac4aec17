"""Several MailProxies that claim the same: the oldest has it, and what works goes on working."""

from tests.controlplane.api import wait_for
from tests.integration.scene import SETTLE_SECONDS, Scene

OTHER = {"podSelector": {"matchLabels": {"app": "other"}}}


def test_oldest_keeps_the_entry_point_and_the_newer_reports_the_conflict(scene: Scene) -> None:
    scene.add_all()
    versions = scene.versions()
    scene.apply("newer", mailServer=OTHER)
    found = scene.wait_for_condition("Accepted", "False", "Conflict", name="newer")
    assert f"{scene.mail}/mail" in found["message"]
    assert "entryPoint" in found["message"]
    scene.wait_for_condition("Ready", "False", "Conflict", name="newer")
    assert scene.versions() == versions  # the younger made nothing
    assert scene.condition("Ready")["status"] == "True"


def test_newer_gets_the_entry_point_when_the_oldest_is_deleted(scene: Scene) -> None:
    scene.add_all()
    scene.apply("newer")
    scene.wait_for_condition("Accepted", "False", "Conflict", name="newer")
    scene.api.delete("MailProxy", "mail", scene.mail)
    scene.wait_for_condition("RoutesReady", "True", name="newer")
    # Whose files the mail server mounts is its owner's to change.
    scene.wait_for_condition("Ready", "False", "OverridesNotMounted", name="newer")
    wait_for(
        lambda: {k for k in scene.children() if k[1].startswith("mail-")} == set(), SETTLE_SECONDS
    )


def test_edit_into_a_conflict_keeps_what_works(scene: Scene) -> None:
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply(ports=[{"name": "smtp"}])
    scene.wait_for_condition("Ready", "True")
    scene.apply("second", mailServer=OTHER, ports=[{"name": "imaps"}])
    scene.wait_for_condition("Accepted", "True", name="second")
    scene.wait_for_trust("10.1.0.1", name="second")
    before = scene.versions()
    scene.apply("second", mailServer=OTHER, ports=[{"name": "imaps"}, {"name": "smtp"}])
    scene.wait_for_condition("Accepted", "False", "Conflict", name="second")
    assert scene.versions() == before
    scene.add_proxy_pod("traefik-9", "10.1.0.9")  # trust follows all the same
    scene.wait_for_trust("10.1.0.1", "10.1.0.9", name="second")
    scene.apply("second", mailServer=OTHER, ports=[{"name": "imaps"}, {"name": "pop3"}])
    scene.wait_for_condition("Accepted", "True", name="second")
    wait_for(lambda: ("IngressRouteTCP", "second-pop3") in scene.children(), SETTLE_SECONDS)


def test_host_names_share_an_entry_point_with_implicit_tls(scene: Scene) -> None:
    scene.add_all(hostname="one.example.com", ports=[{"name": "imaps", "sni": "Hostname"}])
    ports = [{"name": "imaps", "sni": "Hostname"}]
    scene.apply("two", hostname="two.example.com", mailServer=OTHER, ports=ports)
    scene.wait_for_condition("Accepted", "True", name="two")
    wait_for(lambda: ("IngressRouteTCP", "two-imaps") in scene.children(), SETTLE_SECONDS)


def test_missing_entry_point_is_reported_with_its_fix_and_found_later(scene: Scene) -> None:
    scene.add_edge("10.1.0.1", services=["smtp", "submission", "submissions", "imap"])
    scene.add_mail_server()
    scene.apply()
    found = scene.wait_for_condition("EntryPointsReady", "False", "EntryPointMissing")
    assert "port 993 (imaps)" in found["message"]
    assert "exposedPort: 993" in found["message"]
    scene.wait_for_condition("Ready", "False", "EntryPointMissing")
    assert scene.status()["portsSummary"] == "4/5"
    service = scene.api.get("Service", "traefik", scene.edge)
    ports = [*service["spec"]["ports"], {"name": "imaps", "port": 993, "targetPort": 9993}]
    scene.api.merge_patch("Service", "traefik", {"spec": {"ports": ports}}, scene.edge)
    arguments = ["--entrypoints.imaps.address=:9993/tcp", "--entryPoints.mail-smtp.address=:2525"]
    scene.add_proxy_pod("traefik-1", "10.1.0.2", args=arguments)
    scene.wait_for_condition("Ready", "True")
    route = scene.api.get("IngressRouteTCP", "mail-imaps", scene.mail)
    assert route["spec"]["entryPoints"] == ["imaps"]


def test_broken_traefik_version_is_reported(scene: Scene) -> None:
    scene.add_edge()
    scene.add_mail_server()
    scene.add_proxy_pod("traefik-0", "10.1.0.1", image="docker.io/library/traefik:v3.5.2")
    scene.apply()
    found = scene.wait_for_condition("Ready", "False", "TraefikProxyProtocolBug")
    assert "3.5.3" in found["message"]
