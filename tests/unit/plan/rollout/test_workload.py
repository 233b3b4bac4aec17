"""What is put into a workload: just our fields, by consent, where nobody else's are."""

from typing import Any

import pytest
from tests.unit.mail_server_bodies import mail_pod_body, workload_body
from tests.unit.worlds import (
    MAIL_LABELS,
    Body,
    child_body,
    condition,
    endpoints_body,
    judge,
    mail_proxy,
    mail_proxy_body,
    observe,
    pod_body,
    service_body,
)

from mailproxy.api.conditions import ConditionType
from mailproxy.api.mail_server import WorkloadRef
from mailproxy.identity import ObjectRef
from mailproxy.observed.selectors import find_workload
from mailproxy.observed.workload import Workload, read_workload
from mailproxy.observed.world import Unreadable
from mailproxy.plan.build import build_plan
from mailproxy.plan.rollout.mounts import find_wanted
from mailproxy.plan.rollout.workload import (
    build_wiring,
    build_withdrawal,
    explain_refusal,
    inspect_workload,
)

REF = WorkloadRef(name="dms")


def server(**content: Any) -> Body:
    base = {"podSelector": {"matchLabels": MAIL_LABELS}, "workloadRef": {"name": "dms"}}
    return base | {"wiring": "Inject"} | content


CONFIG_MAPS = [
    child_body(mail_proxy(), "ConfigMap", name) for name in ("mail-overrides", "mail-trust")
]
OBJECTS = [service_body(), pod_body(), *CONFIG_MAPS]


def wire(workload: Body, *, objects: list[Body] = OBJECTS, **spec: Any) -> Body | None:
    """What is applied to a workload in which nothing is wrong."""
    assert inspect(workload, objects=objects, **spec) == ("", "")
    proxy = mail_proxy(mailServer=server(**spec))
    world = observe(proxy, objects)
    return build_wiring(proxy, world, build_plan(proxy, world), observed(workload))


def observed(body: Body) -> Workload:
    return read_workload(body, body["kind"])


def inspect(
    workload: Body | Unreadable | None, *, objects: list[Body] = OBJECTS, **spec: Any
) -> tuple[str, str]:
    """Reason and message of what is wrong; empty if nothing is."""
    proxy = mail_proxy(mailServer=server(**spec))
    ref, world = find_workload(proxy), observe(proxy, objects)
    assert ref
    known = observed(workload) if isinstance(workload, dict) else workload
    wanted = find_wanted(proxy, world, build_plan(proxy, world))
    found = inspect_workload(proxy, ref, known, wanted)
    if found is None:
        return "", ""
    assert found.condition == ConditionType.MAIL_SERVER_READY
    assert found.object == ObjectRef(str(ref.kind), ref.name)
    assert found.message.endswith(".")
    return found.reason, found.message


def test_manifest_has_our_fields_and_no_others() -> None:
    folder = "/tmp/docker-mailserver"
    assert wire(workload_body()) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "dms",
            "namespace": "mail",
            "uid": "uid-dms",
            "labels": {"mailproxy.dev/wired-by": "mail"},
        },
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "mail",
                            "volumeMounts": [
                                {
                                    "name": "mailproxy-overrides",
                                    "mountPath": f"{folder}/dovecot.cf",
                                    "subPath": "dovecot.cf",
                                },
                                {
                                    "name": "mailproxy-overrides",
                                    "mountPath": f"{folder}/user-patches.sh",
                                    "subPath": "user-patches.sh",
                                },
                                {"name": "mailproxy-trust", "mountPath": "/etc/mailproxy/trust"},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "mailproxy-overrides", "configMap": {"name": "mail-overrides"}},
                        {"name": "mailproxy-trust", "configMap": {"name": "mail-trust"}},
                    ],
                }
            }
        },
    }


def test_pod_of_a_wired_workload_has_all_that_is_asked_for() -> None:
    manifest = wire(workload_body())
    assert isinstance(manifest, dict)
    spec = manifest["spec"]["template"]["spec"]
    pod = mail_pod_body(containers=spec["containers"], volumes=spec["volumes"])
    proxy = mail_proxy()
    world = observe(proxy, [*OBJECTS, endpoints_body(), pod])
    assert condition(judge(proxy, world), "MailServerReady")["reason"] == "Mounted"


def test_container_is_the_one_that_is_named() -> None:
    manifest = wire(workload_body(), containerName="exporter")
    assert isinstance(manifest, dict)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "exporter"


def test_restart_is_an_annotation_of_the_template_with_the_hash_of_trust() -> None:
    manifest = wire(workload_body(), wiring="Manual", trustUpdate="Restart")
    assert isinstance(manifest, dict)
    proxy = mail_proxy()
    world = observe(proxy, OBJECTS)
    status = judge(proxy, world)
    note = {"mailproxy.dev/trust-hash": status["trustHash"]}
    assert manifest["spec"] == {"template": {"metadata": {"annotations": note}}}
    both = wire(workload_body(), trustUpdate="Restart")
    assert isinstance(both, dict)
    assert both["spec"]["template"].keys() == {"metadata", "spec"}


@pytest.mark.parametrize("missing", ["mail-overrides", "mail-trust"])
def test_nothing_is_mounted_before_both_config_maps_are_there(missing: str) -> None:
    objects = [body for body in OBJECTS if body["metadata"]["name"] != missing]
    assert wire(workload_body(), objects=objects) is None


def test_withdrawal_names_the_object_and_no_field() -> None:
    assert build_withdrawal(observed(workload_body(kind="StatefulSet"))) == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "dms", "namespace": "mail", "uid": "uid-dms"},
    }


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, True),
        ({"wiring": "Manual"}, False),
        ({"wiring": "Manual", "trustUpdate": "Restart"}, True),
        ({"wiring": "Manual", "trustUpdate": "Manual"}, False),
    ],
)
def test_workload_is_read_only_if_it_is_to_be_changed(spec: Body, wanted: bool) -> None:
    assert (find_workload(mail_proxy(mailServer=server(**spec))) is not None) == wanted


@pytest.mark.parametrize("annotations", [{}, {"mailproxy.dev/allow-wiring": "yes"}])
def test_workload_must_consent(annotations: dict[str, str]) -> None:
    reason, message = inspect(workload_body(annotations=annotations))
    assert reason == "WiringNotAllowed"
    assert "Deployment mail/dms does not consent" in message
    assert "`kubectl annotate deployment dms -n mail mailproxy.dev/allow-wiring=true`" in message
    assert inspect(workload_body()) == ("", "")


def test_missing_workload_is_reported() -> None:
    reason, message = inspect(None, workloadRef={"name": "x", "kind": "StatefulSet"})
    assert reason == "WorkloadNotFound"
    assert "StatefulSet mail/x does not exist. Fix `spec.mailServer.workloadRef`" in message


def test_missing_right_is_reported_with_the_component() -> None:
    assert inspect(Unreadable("403 Forbidden")) == (
        "WiringNotAllowed",
        "Deployment mail/dms cannot be read (403 Forbidden). Install manifests/components/wiring,"
        " which lets the operator change workloads that consent to it, or set"
        " `spec.mailServer.wiring` and `trustUpdate` to other values.",
    )
    refused = explain_refusal(REF, "mail", "no", forbidden=True)
    assert refused.reason == "WiringNotAllowed"
    assert "Install manifests/components/wiring" in refused.message
    assert explain_refusal(REF, "mail", "quota", forbidden=False).reason == "Refused"


def test_workload_of_another_mail_proxy_is_not_ours() -> None:
    labelled = {"labels": {"mailproxy.dev/wired-by": "other"}}
    reason, message = inspect(workload_body(metadata=labelled))
    assert (reason, "already changed for MailProxy other" in message) == ("WiringNotAllowed", True)
    ours = {"labels": {"mailproxy.dev/wired-by": "mail"}}
    assert inspect(workload_body(metadata=ours)) == ("", "")


def test_container_must_exist() -> None:
    reason, message = inspect(workload_body(), containerName="dovecot")
    assert reason == "WorkloadNotFound"
    assert "has no container `dovecot`, but mail, exporter: fix" in message


OWNED = {
    "managedFields": [
        {
            "manager": "mailproxy-wiring",
            "operation": "Apply",
            "fieldsV1": {
                "f:spec": {
                    "f:template": {
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"mail"}': {
                                    "f:volumeMounts": {
                                        'k:{"mountPath":"/etc/mailproxy/trust"}': {".": {}}
                                    }
                                }
                            },
                            "f:volumes": {'k:{"name":"mailproxy-trust"}': {".": {}}},
                        }
                    }
                }
            },
        }
    ]
}


def test_volume_of_the_users_with_our_name_is_reported() -> None:
    volumes = [{"name": "mailproxy-trust", "emptyDir": {}}]
    reason, message = inspect(workload_body(volumes=volumes))
    assert (reason, "another volume called mailproxy-trust" in message) == (
        "OverridesNotMounted",
        True,
    )
    assert inspect(workload_body(volumes=volumes, metadata=OWNED)) == ("", "")
    same = [{"name": "mailproxy-trust", "configMap": {"name": "mail-trust"}}]
    assert inspect(workload_body(volumes=same)) == ("", "")


def test_mount_of_the_users_in_our_place_is_reported() -> None:
    mounts = [{"name": "own", "mountPath": "/etc/mailproxy/trust/"}]
    containers = [{"name": "mail", "volumeMounts": mounts}]
    reason, message = inspect(workload_body(containers=containers))
    assert reason == "OverridesNotMounted"
    assert "Deployment mail/dms mounts its volume own at /etc/mailproxy/trust" in message
    assert isinstance(wire(workload_body(containers=containers, metadata=OWNED)), dict)


def test_mount_of_the_users_that_is_the_same_as_ours_is_shared() -> None:
    mounts = [{"name": "mailproxy-trust", "mountPath": "/etc/mailproxy/trust"}]
    containers = [{"name": "mail", "volumeMounts": mounts}]
    assert isinstance(wire(workload_body(containers=containers)), dict)


@pytest.mark.parametrize(
    "content",
    [
        {"metadata": {"labels": {"mailproxy.dev/wired-by": "mail"}}},
        {"metadata": OWNED},
        {"volumes": [{"name": "mailproxy-trust", "configMap": {"name": "x"}}]},
        {
            "containers": [
                {
                    "name": "mail",
                    "volumeMounts": [{"name": "x", "mountPath": "/etc/mailproxy/trust"}],
                }
            ]
        },
    ],
)
def test_fingerprint_changes_with_what_may_be_ours(content: Body) -> None:
    plain = observed(workload_body())
    assert observed(workload_body(**content)).fingerprint != plain.fingerprint


def test_workload_is_the_same_to_us_when_only_its_status_changes() -> None:
    body = workload_body()
    later = body | {"status": {"readyReplicas": 1}}
    later["metadata"] = body["metadata"] | {"resourceVersion": "99"}
    assert observed(later) == observed(body)


def test_refusal_of_the_workload_belongs_to_the_mail_server_alone() -> None:
    proxy = mail_proxy(mailServer=server())
    world = observe(proxy, [*OBJECTS, endpoints_body()])
    failure = explain_refusal(REF, "mail", "quota", forbidden=False)
    status = judge(proxy, world, failures=(failure,))
    found = condition(status, "MailServerReady")
    assert (found["reason"], found["message"]) == (
        "Refused",
        "Deployment mail/dms cannot be changed: quota.",
    )
    assert condition(status, "RoutesReady")["status"] == "True"
    assert condition(status, "Ready")["reason"] == "Refused"


def test_conflict_says_that_it_waits() -> None:
    rival = mail_proxy_body("older", uid="u", created="2026-01-01T00:00:00Z")
    proxy = mail_proxy(mailServer=server())
    status = judge(proxy, observe(proxy, [rival, *OBJECTS]))
    assert condition(status, "MailServerReady")["reason"] == "Pending"


def test_workload_of_a_restart_alone_may_have_mounts_of_the_users() -> None:
    mounts = [{"name": "own", "mountPath": "/etc/mailproxy/trust/"}]
    body = workload_body(containers=[{"name": "mail", "volumeMounts": mounts}])
    assert inspect(body, wiring="Manual", trustUpdate="Restart") == ("", "")


def test_mounts_are_looked_at_only_where_it_is_known_what_to_mount() -> None:
    broken = {"overridesFrom": "own"}  # it does not exist, so there are no overrides yet
    mounts = [{"name": "own", "mountPath": "/etc/mailproxy/trust/"}]
    body = workload_body(containers=[{"name": "mail", "volumeMounts": mounts}])
    assert inspect(body, objects=OBJECTS[:2], **broken) == ("", "")
