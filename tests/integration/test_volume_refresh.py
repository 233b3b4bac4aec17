"""A changed trust list reaches the mail pods as an annotation, once, and right behind the list."""

from tests.controlplane.api import wait_for
from tests.controlplane.edge import set_pod_status
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.integration.stage import Stage
from tests.integration.volume_refresh import find_pokes, read_poke, wait_for_poke


def test_every_mail_pod_is_poked_for_every_list(scene: Scene) -> None:
    scene.add_mail_server("dms-1", "10.9.9.10")
    scene.add_all()
    first = wait_for_poke(scene, "dms-0", "dms-1")
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9")
    wait_for(lambda: wait_for_poke(scene, "dms-0", "dms-1") != first, SETTLE_SECONDS)


def test_new_mail_pod_is_poked_too(scene: Scene) -> None:
    """Its mount may be older than a list that has changed while it started."""
    scene.add_all()
    scene.add_mail_server("dms-1", "10.9.9.10")
    wait_for_poke(scene, "dms-1")


def test_list_is_written_before_the_poke_and_nothing_is_written_twice(stage: Stage) -> None:
    scene = stage.open()
    stage.operator.start()
    scene.add_all()
    wait_for_poke(scene)
    before = len(stage.audit.writes())
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9")
    wait_for(lambda: scene.status()["trustedCount"] == 3, SETTLE_SECONDS)
    writes = [(w.resource, w.name, w.code) for w in stage.audit.writes()[before:]]
    position = writes.index(("configmaps", "mail-trust", 200))
    assert writes[position + 1] == ("pods", "dms-0", 200)
    trust_hash = wait_for_poke(scene)

    # A second look at all, and an operator that has forgotten everything: nobody is poked again.
    pokes = find_pokes(stage.audit)
    scene.api.merge_patch("MailProxy", "mail", {"metadata": {"labels": {"a": "b"}}}, scene.mail)
    stage.operator.stop()
    stage.operator.start()
    set_pod_status(scene.api, "traefik-0", ["10.1.0.1"], namespace=scene.edge, ready=False)
    scene.add_mail_server("dms-1", "10.9.9.10")
    assert wait_for_poke(scene, "dms-0", "dms-1") == trust_hash
    assert [poke.name for poke in find_pokes(stage.audit)[len(pokes) :]] == ["dms-1"]


def test_other_changes_poke_nobody(stage: Stage) -> None:
    scene = stage.open()
    stage.operator.start()
    scene.add_all()
    wait_for_poke(scene)
    before = find_pokes(stage.audit)
    scene.apply(listeners="Shared", networkPolicy="Disabled")
    wait_for(lambda: ("NetworkPolicy", "mail-proxy-ports") not in scene.children(), SETTLE_SECONDS)
    scene.wait_for_condition("Ready", "True")
    assert find_pokes(stage.audit) == before


def test_nobody_is_poked_where_reloads_are_not_wanted(stage: Stage) -> None:
    scene = stage.open()
    stage.operator.start()
    labels = {"matchLabels": {"app.kubernetes.io/name": "docker-mailserver"}}
    scene.add_all(mailServer={"podSelector": labels, "trustUpdate": "Manual"})
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    wait_for(lambda: scene.status()["trustedCount"] == 3, SETTLE_SECONDS)
    assert find_pokes(stage.audit) == []
    assert read_poke(scene) == ""


def test_mailproxy_that_has_to_wait_pokes_nobody(scene: Scene) -> None:
    scene.add_all()
    poke = wait_for_poke(scene)
    scene.apply("younger", trust={"networks": ["192.0.2.0/24"]})
    scene.wait_for_condition("Accepted", "False", "Conflict", name="younger")
    scene.add_mail_server("dms-1", "10.9.9.10")
    assert wait_for_poke(scene, "dms-0", "dms-1") == poke
