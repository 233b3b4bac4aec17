"""Which mounts show the mail server our files, and what is said of those that do not."""

import pytest
from tests.unit.diagnose.test_mail_server_ready import FILES, TRUST, find_condition
from tests.unit.mail_server_bodies import config_map_volume, mail_pod_body, override_mount
from tests.unit.worlds import Body

WHOLE = {"name": "overrides", "mountPath": "/tmp/docker-mailserver"}
VOLUMES = [config_map_volume("overrides"), config_map_volume("trust")]


@pytest.mark.parametrize(
    ("mounts", "volumes"),
    [
        ([*FILES, TRUST], VOLUMES),
        ([WHOLE, TRUST], VOLUMES),
        ([WHOLE, *FILES, TRUST], VOLUMES),
        # A volume of the user's below, and our files over it.
        (
            [{"name": "config", "mountPath": "/tmp/docker-mailserver"}, *FILES, TRUST],
            [*VOLUMES, {"name": "config", "emptyDir": {}}],
        ),
        ([*FILES, TRUST | {"mountPath": "/etc/mailproxy/trust/"}], VOLUMES),
        # Keys under other paths within the volume.
        (
            [override_mount("dovecot.cf", subPath="d"), FILES[1], TRUST],
            [
                config_map_volume(
                    "overrides",
                    items=[
                        {"key": "dovecot.cf", "path": "d"},
                        {"key": "user-patches.sh", "path": "user-patches.sh"},
                    ],
                ),
                VOLUMES[1],
            ],
        ),
        # Several ConfigMaps in one projected volume.
        (
            [WHOLE, TRUST],
            [
                {
                    "name": "overrides",
                    "projected": {
                        "sources": [
                            {
                                "configMap": {
                                    "name": "accounts",
                                    "items": [{"key": "a", "path": "a"}],
                                }
                            },
                            {"secret": {"name": "keys"}},
                            {"configMap": {"name": "mail-overrides"}},
                        ]
                    },
                },
                VOLUMES[1],
            ],
        ),
    ],
)
def test_files_may_come_in_several_ways(mounts: list[Body], volumes: list[Body]) -> None:
    assert find_condition(mail_pod_body(mounts=mounts, volumes=volumes))["reason"] == "Mounted"


@pytest.mark.parametrize(
    ("mounts", "volumes", "fault", "lines"),
    [
        (
            [FILES[0], TRUST],
            VOLUMES,
            "does not mount user-patches.sh of ConfigMap mail-overrides at"
            " /tmp/docker-mailserver/user-patches.sh",
            "Add to its pod template: volumeMounts of container mail: [{name: overrides, mountPath:"
            " /tmp/docker-mailserver/user-patches.sh, subPath: user-patches.sh}];",
        ),
        (
            FILES,
            VOLUMES[:1],
            "does not mount ConfigMap mail-trust as the directory /etc/mailproxy/trust",
            "volumes: [{name: mailproxy-trust, configMap: {name: mail-trust}}]; volumeMounts of"
            " container mail: [{name: mailproxy-trust, mountPath: /etc/mailproxy/trust}];",
        ),
        (
            [*FILES, {"name": "trust", "mountPath": "/etc/mailproxy/trust", "subPath": "x"}],
            VOLUMES,
            "mounts /etc/mailproxy/trust with `subPath`, which is never updated",
            "[{name: trust, mountPath: /etc/mailproxy/trust}];",
        ),
        (
            [
                *FILES,
                TRUST,
                {
                    "name": "trust",
                    "mountPath": "/etc/mailproxy/trust/dovecot-trust.conf",
                    "subPath": "dovecot-trust.conf",
                },
            ],
            VOLUMES,
            "mounts /etc/mailproxy/trust/dovecot-trust.conf with `subPath`",
            "[{name: trust, mountPath: /etc/mailproxy/trust}];",
        ),
        (
            [*FILES, TRUST | {"mountPath": "/etc/mailproxy/trust/more"}],
            VOLUMES,
            "does not mount ConfigMap mail-trust as the directory /etc/mailproxy/trust",
            "Add to its pod template: volumeMounts of container mail: [{name: trust, mountPath:"
            " /etc/mailproxy/trust}];",
        ),
        (
            [*FILES, TRUST | {"name": "overrides"}],
            VOLUMES,
            "mounts something other than ConfigMap mail-trust at /etc/mailproxy/trust",
            "volumes: [{name: mailproxy-trust",
        ),
        (
            [override_mount("dovecot.cf", name="own"), FILES[1], TRUST],
            [*VOLUMES, {"name": "own", "configMap": {"name": "own"}}],
            "mounts something other than dovecot.cf of ConfigMap mail-overrides at"
            " /tmp/docker-mailserver/dovecot.cf",
            "mountPath: /tmp/docker-mailserver/dovecot.cf, subPath: dovecot.cf}]",
        ),
        # A file of ours in the place of another.
        (
            [override_mount("dovecot.cf", subPath="user-patches.sh"), FILES[1], TRUST],
            VOLUMES,
            "mounts something other than dovecot.cf",
            "subPath: dovecot.cf}",
        ),
        # A whole ConfigMap where a file should be is a directory of that name.
        (
            [{"name": "overrides", "mountPath": FILES[0]["mountPath"]}, FILES[1], TRUST],
            VOLUMES,
            "mounts something other than dovecot.cf",
            "subPath: dovecot.cf}",
        ),
        # Only some keys, and not this one.
        (
            [WHOLE, TRUST],
            [
                config_map_volume("overrides", items=[{"key": "dovecot.cf", "path": "dovecot.cf"}]),
                VOLUMES[1],
            ],
            "does not mount user-patches.sh",
            "volumes: [{name: mailproxy-overrides, configMap: {name: mail-overrides}}]",
        ),
        # Another ConfigMap's file lies over ours in the same volume.
        (
            [WHOLE, TRUST],
            [
                {
                    "name": "overrides",
                    "projected": {
                        "sources": [
                            {"configMap": {"name": "mail-overrides"}},
                            {
                                "configMap": {
                                    "name": "own",
                                    "items": [{"key": "x", "path": "dovecot.cf"}],
                                }
                            },
                        ]
                    },
                },
                VOLUMES[1],
            ],
            "does not mount dovecot.cf",
            "subPath: dovecot.cf}",
        ),
        (
            [
                override_mount("dovecot.cf") | {"subPath": "", "subPathExpr": "$(X)"},
                FILES[1],
                TRUST,
            ],
            VOLUMES,
            "mounts something other than dovecot.cf",
            "subPath: dovecot.cf}",
        ),
    ],
)
def test_wrong_mount_is_reported_with_the_lines_that_fix_it(
    mounts: list[Body], volumes: list[Body], fault: str, lines: str
) -> None:
    found = find_condition(mail_pod_body(mounts=mounts, volumes=volumes))
    assert (found["status"], found["reason"]) == ("False", "OverridesNotMounted")
    assert f"Pod dms-0 {fault}" in found["message"]
    assert lines in found["message"]


def test_pod_without_any_mount_is_answered_with_all_lines() -> None:
    message = find_condition(mail_pod_body(mounts=[], volumes=[]))["message"]
    for path in (*(mount["mountPath"] for mount in FILES), TRUST["mountPath"]):
        assert f"mountPath: {path}" in message
    for name in ("mail-overrides", "mail-trust"):
        assert f"configMap: {{name: {name}}}" in message


def test_files_that_the_config_map_has_are_asked_for_and_no_others() -> None:
    shared = {"listeners": "Shared"}
    message = find_condition(mail_pod_body(), **shared)["message"]
    assert "does not mount postfix-master.cf" in message
    assert "mounts something other" not in message
