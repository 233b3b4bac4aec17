"""The user's own files: merged, followed, and never in the way of what works."""

import pytest

from tests.controlplane.api import ApiStatus, Manifest, wait_for
from tests.controlplane.audit import AuditLog
from tests.integration.scene import SETTLE_SECONDS, Scene

GOOD = "mail_max_userip_connections = 50\n"
BETTER = "mail_max_userip_connections = 60\n"
BROKEN = "mail_debug = yes\nhaproxy_trusted_networks = 10.0.0.0/8\n"


def mail_server(overrides_from: str | None = "own") -> Manifest:
    selector = {"matchLabels": {"app.kubernetes.io/name": "docker-mailserver"}}
    server: Manifest = {"podSelector": selector}
    return server | ({"overridesFrom": overrides_from} if overrides_from else {})


def write_files(scene: Scene, name: str = "own", **files: str) -> None:
    """Apply the user's ConfigMap; names of files are written with `__` and `_`."""
    data = {key.replace("__", "-").replace("_", "."): text for key, text in files.items()}
    metadata = {"name": name, "namespace": scene.mail}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    scene.api.apply(manifest, field_manager="user")


def overrides(scene: Scene) -> Manifest:
    """The files of the ConfigMap that the mail server mounts; empty while it is not there."""
    found = scene.children().get(("ConfigMap", "mail-overrides"), {})
    return dict(found.get("data", {}))


def begins(scene: Scene, text: str) -> bool:
    return bool(overrides(scene).get("dovecot.cf", "").startswith(text))


def wait_until_it_begins(scene: Scene, text: str) -> None:
    wait_for(lambda: begins(scene, text), SETTLE_SECONDS, lambda: overrides(scene))


def test_files_are_merged_and_followed(scene: Scene) -> None:
    write_files(scene, dovecot_cf=GOOD, postfix__main_cf="a = b\n")
    scene.add_all(mailServer=mail_server())
    found = overrides(scene)
    assert set(found) == {"dovecot.cf", "postfix-main.cf", "user-patches.sh"}
    assert found["dovecot.cf"].startswith(GOOD)
    assert "inet_listener imap_proxy {" in found["dovecot.cf"]
    before = scene.status()["overridesHash"]

    write_files(scene, dovecot_cf=BETTER)
    wait_until_it_begins(scene, BETTER)
    assert set(overrides(scene)) == {"dovecot.cf", "user-patches.sh"}
    wait_for(lambda: scene.status()["overridesHash"] != before, SETTLE_SECONDS)


def test_missing_files_are_used_as_soon_as_they_exist(scene: Scene) -> None:
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply(mailServer=mail_server())
    found = scene.wait_for_condition("Accepted", "False", "OverridesNotFound")
    assert f"ConfigMap {scene.mail}/own does not exist: make it" in found["message"]
    assert "mail-overrides is made then" in found["message"]
    scene.wait_for_condition("Ready", "False", "OverridesNotFound")
    scene.wait_for_condition("RoutesReady", "True")
    scene.wait_for_trust("10.1.0.1")
    assert overrides(scene) == {}

    write_files(scene, dovecot_cf=GOOD)
    scene.wait_for_condition("Ready", "True")
    assert begins(scene, GOOD)


def test_broken_file_keeps_what_works_until_it_is_fixed(scene: Scene) -> None:
    write_files(scene, dovecot_cf=GOOD)
    scene.add_all(mailServer=mail_server())
    before = scene.children()["ConfigMap", "mail-overrides"]
    write_files(scene, dovecot_cf=BROKEN)
    found = scene.wait_for_condition("Accepted", "False", "OverridesInvalid")
    assert f"ConfigMap {scene.mail}/own: dovecot.cf line 2: " in found["message"]
    assert "`spec.trust.networks`" in found["message"]
    assert found["message"].endswith("Until then ConfigMap mail-overrides stays as it is.")
    scene.wait_for_condition("Ready", "False", "OverridesInvalid")

    scene.remove_proxy_pod("traefik-1")
    scene.wait_for_trust("10.1.0.1")  # trust goes on following the edge
    assert scene.children()["ConfigMap", "mail-overrides"] == before

    write_files(scene, dovecot_cf=BETTER)
    scene.wait_for_condition("Ready", "True")
    assert begins(scene, BETTER)


def test_files_that_disappear_stay_merged(scene: Scene) -> None:
    write_files(scene, dovecot_cf=GOOD)
    scene.add_all(mailServer=mail_server())
    before = scene.children()["ConfigMap", "mail-overrides"]
    scene.api.delete("ConfigMap", "own", scene.mail)
    scene.wait_for_condition("Ready", "False", "OverridesNotFound")
    assert scene.children()["ConfigMap", "mail-overrides"] == before

    scene.apply(mailServer=mail_server(None))  # the user gives them up
    scene.wait_for_condition("Ready", "True")
    wait_for(lambda: not begins(scene, GOOD), SETTLE_SECONDS, lambda: overrides(scene))


def test_another_config_map_is_followed_instead(scene: Scene) -> None:
    write_files(scene, dovecot_cf=GOOD)
    write_files(scene, "other", dovecot_cf=BETTER)
    scene.add_all(mailServer=mail_server())
    scene.apply(mailServer=mail_server("other"))
    wait_until_it_begins(scene, BETTER)
    write_files(scene, "other", dovecot_cf=GOOD + BETTER)
    wait_until_it_begins(scene, GOOD + BETTER)


def test_own_children_cannot_be_named(scene: Scene) -> None:
    for name in ("mail-overrides", "mail-trust"):
        with pytest.raises(ApiStatus, match="must name a ConfigMap of your own"):
            scene.apply(mailServer=mail_server(name))


def test_children_of_another_mail_proxy_are_refused(scene: Scene) -> None:
    scene.add_all()
    scene.apply(
        "second",
        mailServer={
            "podSelector": {"matchLabels": {"app": "x"}},
            "overridesFrom": "mail-overrides",
        },
        ports=[{"name": "imaps", "entryPoint": "mail-pop3"}],
    )
    found = scene.wait_for_condition("Accepted", "False", "OverridesInvalid", name="second")
    assert "is made by mailproxy" in found["message"]


def test_second_look_at_the_users_files_writes_nothing(scene: Scene, audit: AuditLog) -> None:
    write_files(scene, dovecot_cf=GOOD, user__patches_sh="exit 1\n")
    scene.add_all(mailServer=mail_server())
    before = scene.versions()
    # Only labels: a change that the operator sees, and that changes no file.
    scene.api.merge_patch("ConfigMap", "own", {"metadata": {"labels": {"a": "b"}}}, scene.mail)
    writes = len(audit.writes(scene.mail))
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9")
    changed = {key for key, version in scene.versions().items() if version != before[key]}
    assert changed == {("ConfigMap", "mail-trust")}
    written = {request.name for request in audit.writes(scene.mail)[writes:]}
    assert "mail-overrides" not in written
