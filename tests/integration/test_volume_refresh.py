"""A changed trust list reaches the mail pods as an annotation, once, and right after the list."""

from tests.controlplane.api import wait_for
from tests.controlplane.audit import AuditLog
from tests.controlplane.edge import set_pod_status
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.integration.volume_refresh import find_refreshes, read_annotation, wait_for_refresh
from tests.operator_process import OperatorProcess


def test_every_mail_pod_is_refreshed_for_every_list(scene: Scene) -> None:
    scene.add_mail_server("dms-1", "10.9.9.10")
    scene.add_all()
    first = wait_for_refresh(scene, "dms-0", "dms-1")
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9")
    wait_for(lambda: wait_for_refresh(scene, "dms-0", "dms-1") != first, SETTLE_SECONDS)


def test_new_mail_pod_is_refreshed_too(scene: Scene) -> None:
    """Its mount may be older than a list that has changed while it started."""
    scene.add_all()
    scene.add_mail_server("dms-1", "10.9.9.10")
    wait_for_refresh(scene, "dms-1")


def test_list_is_written_before_the_annotation(scene: Scene, audit: AuditLog) -> None:
    scene.add_all()
    wait_for_refresh(scene)
    before = len(audit.writes(scene.mail))
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9")
    wait_for(lambda: scene.status()["trustedCount"] == 3, SETTLE_SECONDS)
    writes = [(w.resource, w.name, w.code) for w in audit.writes(scene.mail)[before:]]
    position = writes.index(("configmaps", "mail-trust", 200))
    assert writes[position + 1] == ("pods", "dms-0", 200)


def test_neither_a_second_look_nor_a_restart_refreshes_again(
    scene: Scene, operator: OperatorProcess, audit: AuditLog
) -> None:
    scene.add_all()
    trust_hash = wait_for_refresh(scene)
    before = len(find_refreshes(audit, scene))
    scene.api.merge_patch("MailProxy", "mail", {"metadata": {"labels": {"a": "b"}}}, scene.mail)
    operator.stop()
    operator.start()
    set_pod_status(scene.api, "traefik-0", ["10.1.0.1"], namespace=scene.edge, ready=False)
    scene.add_mail_server("dms-1", "10.9.9.10")
    assert wait_for_refresh(scene, "dms-0", "dms-1") == trust_hash
    assert [write.name for write in find_refreshes(audit, scene)[before:]] == ["dms-1"]


def test_other_changes_refresh_nothing(scene: Scene, audit: AuditLog) -> None:
    scene.add_all()
    wait_for_refresh(scene)
    before = find_refreshes(audit, scene)
    scene.apply(listeners="Shared", networkPolicy="Disabled")
    wait_for(lambda: ("NetworkPolicy", "mail-proxy-ports") not in scene.children(), SETTLE_SECONDS)
    scene.wait_for_condition("Ready", "True")
    assert find_refreshes(audit, scene) == before


def test_nothing_is_refreshed_where_reloads_are_not_wanted(scene: Scene, audit: AuditLog) -> None:
    labels = {"matchLabels": {"app.kubernetes.io/name": "docker-mailserver"}}
    scene.add_all(mailServer={"podSelector": labels, "trustUpdate": "Manual"})
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    wait_for(lambda: scene.status()["trustedCount"] == 3, SETTLE_SECONDS)
    assert find_refreshes(audit, scene) == []
    assert read_annotation(scene) == ""


def test_mailproxy_in_conflict_refreshes_nothing(scene: Scene) -> None:
    scene.add_all()
    trust_hash = wait_for_refresh(scene)
    scene.apply("younger", trust={"networks": ["192.0.2.0/24"]})
    scene.wait_for_condition("Accepted", "False", "Conflict", name="younger")
    scene.add_mail_server("dms-1", "10.9.9.10")
    assert wait_for_refresh(scene, "dms-0", "dms-1") == trust_hash
