"""`MailServerReady`: whether the mail server sees our files, and what defeats them."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest
from tests.unit.mail_server_bodies import mail_pod_body, override_mount
from tests.unit.worlds import (
    MAIL_LABELS,
    Body,
    child_body,
    condition,
    endpoints_body,
    judge,
    mail_proxy,
    observe,
    pod_body,
    selecting,
    service_body,
)

from mailproxy.observed.evidence import Evidence

GOOD = [service_body(), pod_body(), endpoints_body()]
TRUST = {"name": "trust", "mountPath": "/etc/mailproxy/trust"}
FILES = [override_mount("dovecot.cf"), override_mount("user-patches.sh")]
WORKLOAD = {"podSelector": {"matchLabels": MAIL_LABELS}, "workloadRef": {"name": "dms"}}
WEBMAIL = {"internalClients": [{"name": "webmail", "podSelector": {"matchLabels": {"a": "b"}}}]}
EARLY, CHANGED, LATE = "2026-07-01T10:00:00Z", "2026-07-01T10:00:01Z", "2026-07-01T10:00:02Z"


def find_condition(
    *pods: Body,
    accepted: Mapping[str, bool] | None = None,
    refresh_allowed: bool | None = None,
    objects: list[Body] = GOOD,
    **spec: Any,
) -> dict[str, Any]:
    """The condition, with these mail server pods; `accepted` is whose header is, by address."""
    proxy = mail_proxy(**spec)
    known = {ip_address(address): answer for address, answer in (accepted or {}).items()}
    evidence = Evidence(header_accepted=known, volume_refresh_allowed=refresh_allowed)
    status = judge(proxy, observe(proxy, [*objects, *pods]), evidence=evidence)
    return condition(status, "MailServerReady")


def reason(*pods: Body, **options: Any) -> str:
    return str(find_condition(*pods, **options)["reason"])


def overrides(*, changed: str = CHANGED, manager: str = "mailproxy-operator") -> Body:
    """The ConfigMap of overrides with the time at which it was last applied."""
    body = child_body(mail_proxy(), "ConfigMap", "mail-overrides")
    other = {"manager": "kubectl", "operation": "Apply", "time": "2026-09-01T00:00:00Z"}
    update = {"manager": manager, "operation": "Update", "time": "2026-09-01T00:00:00Z"}
    body["metadata"] |= {
        "managedFields": [
            other,
            {"manager": manager, "operation": "Apply", "time": changed},
            update,
        ],
    }
    return body | {"data": {"dovecot.cf": "", "user-patches.sh": ""}}


def test_mounts_are_asked_for_while_the_users_own_files_are_refused() -> None:
    broken = {"mailServer": selecting(**MAIL_LABELS) | {"overridesFrom": "own"}}
    pod = mail_pod_body(mounts=[TRUST])
    assert reason(pod, overrides(), objects=GOOD, **broken) == "OverridesNotMounted"
    # Without that ConfigMap the pod waits for it, and Accepted says why.
    assert reason(pod, **broken) == "Mounted"


def test_container_is_the_first_or_the_one_that_is_named() -> None:
    mail = mail_pod_body()["spec"]["containers"][0]
    sidecar = {"name": "sidecar", "image": "x"}
    last = mail_pod_body(containers=[sidecar, mail])
    assert reason(mail_pod_body(containers=[mail, sidecar])) == "Mounted"
    assert "of container sidecar" in find_condition(last)["message"]
    named = {"mailServer": selecting(**MAIL_LABELS) | {"containerName": "mail"}}
    assert reason(last, **named) == "Mounted"
    named["mailServer"]["containerName"] = "dovecot"
    found = find_condition(last, **named)
    assert found["reason"] == "OverridesNotMounted"
    assert "no container `dovecot`, but sidecar, mail: fix" in found["message"]


def test_no_live_pod_is_unknown() -> None:
    assert find_condition()["status"] == "Unknown"
    assert reason() == "NoMailServerPods"
    assert reason(mail_pod_body(mounts=[], phase="Failed")) == "NoMailServerPods"
    assert reason(mail_pod_body(labels={"app": "other"})) == "NoMailServerPods"
    assert reason(mail_pod_body(namespace="other")) == "NoMailServerPods"


def test_one_pod_of_several_that_lacks_a_mount_is_named() -> None:
    message = find_condition(mail_pod_body("dms-1"), mail_pod_body("dms-2", mounts=FILES))[
        "message"
    ]
    assert message.startswith("Pod dms-2 does not mount ConfigMap mail-trust")


@pytest.mark.parametrize(
    ("started", "expected"), [(EARLY, "RestartPending"), (CHANGED, "Mounted"), (LATE, "Mounted")]
)
def test_server_that_started_before_its_files_changed_must_be_restarted(
    started: str, expected: str
) -> None:
    assert reason(mail_pod_body(started=started), overrides()) == expected


def test_change_by_another_field_manager_needs_no_restart() -> None:
    assert reason(mail_pod_body(started=LATE), overrides()) == "Mounted"
    foreign = overrides(manager="kubectl-edit", changed="2026-09-01T00:00:00Z")
    assert reason(mail_pod_body(started=LATE), foreign) == "Mounted"


def test_container_that_does_not_run_yet_needs_no_restart() -> None:
    pod = mail_pod_body()
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    assert reason(pod, overrides()) == "Mounted"


@pytest.mark.parametrize(
    ("server", "command"),
    [
        ({}, "kubectl delete pod dms-0 -n mail`"),
        ({"workloadRef": {"name": "dms"}}, "`kubectl rollout restart deployment/dms -n mail`"),
        (
            {"workloadRef": {"name": "dms", "kind": "StatefulSet"}},
            "`kubectl rollout restart statefulset/dms -n mail`",
        ),
    ],
)
def test_restart_is_explained_by_a_command(server: Body, command: str) -> None:
    spec = {"mailServer": selecting(**MAIL_LABELS) | server}
    found = find_condition(mail_pod_body(started=EARLY), overrides(), **spec)
    assert (found["status"], found["reason"]) == ("False", "RestartPending")
    assert command in found["message"]


@pytest.mark.parametrize(
    ("value", "addresses", "expected"),
    [
        ("ipv4", ["10.244.1.2", "fd00::2"], "IPv6Disabled"),
        ("ipv4", ["fd00::2"], "IPv6Disabled"),
        ("ipv4", ["10.244.1.2"], "Mounted"),
        ("all", ["10.244.1.2", "fd00::2"], "Mounted"),
        ("", ["10.244.1.2", "fd00::2"], "Mounted"),
    ],
)
def test_postfix_without_ipv6_behind_an_edge_with_it(
    value: str, addresses: list[str], expected: str
) -> None:
    objects = [service_body(), pod_body(ips=addresses), endpoints_body()]
    pod = mail_pod_body(env={"POSTFIX_INET_PROTOCOLS": value} if value else {})
    assert reason(pod, objects=objects) == expected


def test_internal_clients_cannot_use_shared_listeners() -> None:
    mounts = [override_mount(name) for name in ("dovecot.cf", "postfix-master.cf")]
    pod = mail_pod_body(mounts=[*mounts, override_mount("user-patches.sh"), TRUST])
    found = find_condition(pod, listeners="Shared", **WEBMAIL)
    assert (found["status"], found["reason"]) == ("False", "PlainClientsRejected")
    assert "(webmail)" in found["message"]
    assert reason(pod, listeners="Shared") == "Mounted"
    assert reason(pod, **WEBMAIL) == "Mounted"


def test_proxy_pod_whose_header_is_rejected_is_named_with_its_address() -> None:
    objects = [
        service_body(),
        pod_body("traefik-0", ["10.244.1.2"]),
        pod_body("traefik-1", ["10.244.1.3", "fd00::3"]),
        endpoints_body(),
    ]
    accepted = {"10.244.1.2": True, "10.244.1.3": True, "fd00::3": False}
    found = find_condition(mail_pod_body(), objects=objects, accepted=accepted)
    assert (found["status"], found["reason"]) == ("False", "ReloadPending")
    assert "rejects PROXY headers from proxy pod traefik-1 (fd00::3)." in found["message"]
    all_accepted = dict.fromkeys(accepted, True)
    assert reason(mail_pod_body(), objects=objects, accepted=all_accepted) == "Mounted"


def test_header_from_an_address_that_is_not_trusted_may_be_rejected() -> None:
    spec = {"trust": {"from": "None", "networks": ["192.0.2.1/32"]}}
    assert reason(mail_pod_body(), accepted={"10.244.1.2": False}, **spec) == "Mounted"


@pytest.mark.parametrize(
    ("update", "remedy"),
    [
        ("Reload", "look for `mailproxy:`"),
        ("Restart", "The operator restarts it"),
        ("Manual", "Run `doveadm reload`"),
    ],
)
def test_remedy_for_rejected_headers_is_that_of_the_chosen_update(update: str, remedy: str) -> None:
    spec = {"mailServer": WORKLOAD | {"trustUpdate": update}}
    assert (
        remedy in find_condition(mail_pod_body(), accepted={"10.244.1.2": False}, **spec)["message"]
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "Mounted"),
        ("none", "Mounted"),
        ("host", "PermitDocker"),
        ("network", "PermitDocker"),
        ("connected-networks", "PermitDocker"),
        ("container", "PermitDocker"),
        ("something", "PermitDocker"),
    ],
)
def test_permission_to_relay_by_address_is_advice(value: str, expected: str) -> None:
    found = find_condition(mail_pod_body(env={"PERMIT_DOCKER": value} if value else {}))
    assert (found["status"], found["reason"]) == ("True", expected)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(None, "Mounted"), (True, "Mounted"), (False, "VolumeRefreshNotAllowed")],
)
def test_missing_right_to_refresh_volumes_is_advice(allowed: bool | None, expected: str) -> None:
    found = find_condition(mail_pod_body(), refresh_allowed=allowed)
    assert (found["status"], found["reason"]) == ("True", expected)


def test_worst_problem_is_reported_first() -> None:
    """Each later one is there too; the first is taken away one after the other."""
    objects = [service_body(), pod_body(ips=["10.244.1.2", "fd00::2"]), endpoints_body()]
    files = [
        override_mount(name) for name in ("dovecot.cf", "postfix-master.cf", "user-patches.sh")
    ]
    env = {"POSTFIX_INET_PROTOCOLS": "ipv4", "PERMIT_DOCKER": "host"}
    all_of_it: dict[str, Any] = {
        "objects": objects,
        "accepted": {"fd00::2": False},
        "refresh_allowed": False,
        "listeners": "Shared",
    } | WEBMAIL
    wrong: dict[str, Any] = {"mounts": [*files[:1], TRUST], "started": EARLY, "env": env}
    seen = []
    for fixed in (
        {},
        {"mounts": [*files, TRUST]},
        {"started": LATE},
        {"env": {"PERMIT_DOCKER": "host"}},
    ):
        wrong |= fixed
        seen.append(reason(mail_pod_body(**wrong), overrides(), **all_of_it))
    for field in ("internalClients", "accepted"):
        del all_of_it[field]
        seen.append(reason(mail_pod_body(**wrong), overrides(), **all_of_it))
    seen.append(reason(mail_pod_body(**wrong | {"env": {}}), overrides(), **all_of_it))
    assert seen == [
        "OverridesNotMounted",
        "RestartPending",
        "IPv6Disabled",
        "PlainClientsRejected",
        "ReloadPending",
        "PermitDocker",
        "VolumeRefreshNotAllowed",
    ]


def test_edge_pod_is_the_same_to_us_when_its_container_restarts() -> None:
    before = mail_pod_body("traefik-0", mounts=[{"name": "tmp", "mountPath": "/tmp"}])
    after = mail_pod_body("traefik-0", mounts=[{"name": "tmp", "mountPath": "/tmp"}], started=LATE)
    proxy = mail_proxy()
    assert observe(proxy, [before]).mail_pods == observe(proxy, [after]).mail_pods
