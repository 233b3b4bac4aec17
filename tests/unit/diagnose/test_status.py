"""Conditions, columns and events: what a user reads, and what stays while nothing changes."""

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.mail_server_bodies import mail_pod_body
from tests.unit.worlds import (
    NOW,
    Body,
    child_body,
    condition,
    endpoints_body,
    judge,
    mail_proxy,
    mail_proxy_body,
    observe,
    pod_body,
    remembering,
    service_body,
    service_port,
)

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.api.status import MailProxyStatus
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.conditions import find_owner
from mailproxy.diagnose.events import find_event_notes
from mailproxy.diagnose.ready import summarize
from mailproxy.diagnose.status import Status, build_held_status, build_status
from mailproxy.identity import ObjectRef
from mailproxy.observed.evidence import Evidence
from mailproxy.observed.world import World
from mailproxy.plan.build import build_plan

LATER = NOW + timedelta(hours=1)
GOOD = [service_body(), pod_body(), endpoints_body(), mail_pod_body()]
TYPES = [str(type_) for type_ in ConditionType]
TRUST_MAP = ObjectRef("ConfigMap", "mail-trust")
ROUTE = ObjectRef("IngressRouteTCP", "mail-smtp")


def status_of(
    objects: list[Body], *failures: Finding, previous: Status | None = None, **spec: Any
) -> Status:
    proxy = mail_proxy(**spec)
    return judge(proxy, observe(proxy, objects), previous, failures=failures)


def failure(ref: ObjectRef, reason: Reason) -> Finding:
    """A write that was refused."""
    return Finding(find_owner(mail_proxy(), ref), reason, f"{ref} is refused.", ref)


def conditions_of(status: Status) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def test_all_conditions_are_true_when_all_is_well() -> None:
    status = status_of(GOOD)
    MailProxyStatus.model_validate(status)
    assert [c["type"] for c in status["conditions"]] == TYPES
    assert {value for value, _ in conditions_of(status).values()} == {"True"}
    assert (status["edge"], status["portsSummary"]) == ("traefik/traefik", "5/5")


def test_conditions_name_the_generation_that_was_observed() -> None:
    proxy = mail_proxy()
    proxy = proxy.model_copy(
        update={"metadata": proxy.metadata.model_copy(update={"generation": 7})}
    )
    status = judge(proxy, observe(proxy, GOOD))
    assert {c["observedGeneration"] for c in status["conditions"]} == {7}
    assert status["observedGeneration"] == 7


def later(previous: Status, objects: list[Body], **spec: Any) -> Status:
    """The status of a reconcile an hour after `previous`."""
    proxy = mail_proxy(**spec)
    world = observe(proxy, objects)
    case = Case(proxy, world, Evidence(), build_plan(proxy, world))
    return build_status(case, previous, LATER)


def test_status_stays_as_it_is_while_nothing_changes() -> None:
    status = status_of(GOOD)
    assert later(status, GOOD) == status


def test_transition_time_is_kept_while_the_status_is_the_same() -> None:
    before = status_of(GOOD)
    after = later(before, [service_body(), endpoints_body()])
    times = {c["type"]: c["lastTransitionTime"] for c in after["conditions"]}
    assert times["Accepted"] == "2026-08-01T12:00:00Z"
    assert times["EdgeDiscovered"] == times["Ready"] == "2026-08-01T13:00:00Z"


def test_new_reason_with_the_same_status_is_no_transition() -> None:
    before = status_of([])
    after = later(before, [service_body()])
    assert condition(before, "EdgeDiscovered")["reason"] == "ServiceNotFound"
    assert condition(after, "EdgeDiscovered")["reason"] == "NoProxyPods"
    assert condition(after, "EdgeDiscovered")["lastTransitionTime"] == "2026-08-01T12:00:00Z"


@pytest.mark.parametrize(
    "previous",
    [
        {"conditions": None, "trustedNetworks": None},
        {"conditions": [{}]},
        {"conditions": [{"type": "Ready", "status": "True"}]},
        {"conditions": [{"type": "OfTheFuture", "status": "True", "reason": "X"}]},
        {"conditions": ["rubbish", None]},
        {"unknown": 1},
    ],
)
def test_status_of_another_version_counts_as_none(previous: Status) -> None:
    assert status_of(GOOD, previous=previous) == status_of(GOOD)
    assert find_event_notes(previous, status_of(GOOD)) == find_event_notes({}, status_of(GOOD))
    held = build_held_status("No.", 1, Reason.INVALID, previous, NOW)
    MailProxyStatus.model_validate(held)
    assert set(conditions_of(held)) == {"Accepted", "Ready"}


def finding(type_: ConditionType, reason: Reason) -> Finding:
    return Finding(type_, reason, f"{type_}: {reason}")


@pytest.mark.parametrize("first", range(len(ConditionType) - 1))
def test_ready_is_the_first_that_fails_in_the_order_of_the_data_path(first: int) -> None:
    findings = [
        finding(type_, Reason.ACCEPTED if place < first else Reason.REFUSED)
        for place, type_ in enumerate(list(ConditionType)[:-1])
    ]
    assert summarize(findings).message == findings[first].message
    assert summarize(findings).status == ConditionStatus.FALSE


def test_ready_waits_for_what_is_pending_but_not_for_what_can_never_be_known() -> None:
    good = finding(ConditionType.ACCEPTED, Reason.ACCEPTED)
    unknown = finding(ConditionType.ENTRY_POINTS_READY, Reason.UNKNOWN)
    pending = finding(ConditionType.ROUTES_READY, Reason.PENDING)
    assert summarize([good, unknown]).reason == Reason.READY
    assert summarize([good, unknown, pending]).reason == Reason.PENDING


def test_failure_counts_more_than_what_is_pending_before_it() -> None:
    pending = finding(ConditionType.ROUTES_READY, Reason.PENDING)
    failed = finding(ConditionType.TRUST_READY, Reason.NO_PROXY_PODS)
    assert summarize([pending, failed]).reason == Reason.NO_PROXY_PODS


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.NO_PROXY_PODS, ConditionStatus.FALSE),
        (Reason.PENDING, ConditionStatus.UNKNOWN),
        (Reason.HOST_NETWORK, ConditionStatus.TRUE),
        (Reason.UP_TO_DATE, ConditionStatus.TRUE),
    ],
)
def test_status_of_a_finding_is_that_of_its_reason(reason: Reason, status: ConditionStatus) -> None:
    assert finding(ConditionType.TRUST_READY, reason).status == status


def test_trust_map_that_was_not_written_is_reported_as_it_was() -> None:
    proxy = mail_proxy()
    kept = [remembering(proxy, ""), *GOOD]
    before = status_of(kept)
    moved = [remembering(proxy, ""), service_body(), pod_body(ips=["10.244.9.9"]), endpoints_body()]
    after = status_of(moved, failure(TRUST_MAP, Reason.REFUSED), previous=before)
    for field in ("trustedNetworks", "trustedCount", "trustHash"):
        assert after[field] == before[field]
    assert conditions_of(after)["TrustReady"] == ("False", "Refused")
    assert conditions_of(after)["RoutesReady"] == ("True", "Applied")


def test_trust_map_of_somebody_else_is_not_reported_as_ours() -> None:
    before = status_of(GOOD)
    after = status_of(GOOD, failure(TRUST_MAP, Reason.NOT_OWNED), previous=before)
    assert (after["trustedNetworks"], after["trustedCount"]) == ([], 0)
    assert "trustHash" not in after


def test_overrides_that_stay_during_a_conflict_are_still_reported() -> None:
    proxy = mail_proxy()
    overrides = child_body(proxy, "ConfigMap", "mail-overrides")
    rival = mail_proxy_body("older", "there", created="2026-01-01T00:00:00Z")
    before = status_of([overrides, *GOOD])
    after = status_of([overrides, rival, *GOOD], previous=before)
    assert conditions_of(after)["Accepted"] == ("False", "Conflict")
    assert after["overridesHash"] == before["overridesHash"]
    assert (after["trustedNetworks"], "trustHash" in after) == ([], False)


def test_route_that_was_refused_is_no_ready_port() -> None:
    status = status_of(GOOD, failure(ROUTE, Reason.REFUSED))
    port = status["ports"][0]
    assert (port["name"], port["ready"], "route" in port) == ("smtp", False, False)
    assert status["portsSummary"] == "4/5"


def test_route_that_stays_is_reported_while_the_edge_is_gone() -> None:
    route = child_body(mail_proxy(), *ROUTE)
    port = status_of([route])["ports"][0]
    assert (port["route"], port["ready"], "entryPoint" in port) == ("mail-smtp", False, False)


def test_ports_of_a_generic_edge_have_neither_entry_point_nor_route() -> None:
    status = status_of(GOOD, edge={"type": "Generic", "serviceName": "traefik"})
    port = {"name": "smtp", "exposedPort": 25, "targetPort": 12525, "ready": True}
    assert status["ports"][0] == port
    assert "edgeVersion" not in status


def test_endless_message_is_cut_before_the_api_server_refuses_it() -> None:
    pods = [pod_body(args=[f"--entrypoints.{'x' * 60}{n}.address=:{n}" for n in range(999)])]
    status = status_of([service_body(), *pods])
    assert max(len(c["message"]) for c in status["conditions"]) == 4096
    MailProxyStatus.model_validate(status)


@pytest.mark.parametrize(
    ("reason", "type_", "value", "ready"),
    [
        (Reason.INVALID, "Accepted", "False", "False"),
        (Reason.SUSPENDED, "Accepted", "True", "Unknown"),
        (Reason.UNOBSERVABLE, "EdgeDiscovered", "Unknown", "Unknown"),
    ],
)
def test_held_mail_proxy_keeps_all_but_what_it_waits_for(
    reason: Reason, type_: str, value: str, ready: str
) -> None:
    before = status_of(GOOD)
    held = build_held_status("Why.", 5, reason, before, LATER)
    MailProxyStatus.model_validate(held)
    assert conditions_of(held)[type_] == (value, reason)
    assert conditions_of(held)["Ready"] == (ready, reason)
    others = set(TYPES) - {type_, "Ready"}
    assert {t: conditions_of(held)[t] for t in others} == {
        t: conditions_of(before)[t] for t in others
    }
    assert [c["type"] for c in held["conditions"]] == TYPES
    rest = before.keys() - {"conditions", "observedGeneration"}
    assert {field: held[field] for field in rest} == {field: before[field] for field in rest}
    assert held["observedGeneration"] == 5


@pytest.mark.parametrize("reason", [Reason.INVALID, Reason.SUSPENDED, Reason.UNOBSERVABLE])
@pytest.mark.parametrize("previous", [{}, {"conditions": []}, status_of(GOOD)])
def test_held_status_is_complete_and_stays_still(reason: Reason, previous: Status) -> None:
    held = build_held_status("Why." * 9999, 1, reason, previous, NOW)
    MailProxyStatus.model_validate(held)
    assert build_held_status("Why." * 9999, 1, reason, held, LATER) == held


def test_held_mail_proxy_recovers() -> None:
    held = build_held_status("Why.", 1, Reason.UNOBSERVABLE, status_of(GOOD), NOW)
    assert conditions_of(status_of(GOOD, previous=held)) == conditions_of(status_of(GOOD))


def events_of(before: Status, after: Status) -> list[tuple[str, str]]:
    return [(event.type, event.reason) for event in find_event_notes(before, after)]


def test_first_good_status_has_events_for_trust_and_readiness() -> None:
    expected = [("Normal", "TrustChanged"), ("Normal", "Ready")]
    assert events_of({}, status_of(GOOD)) == expected


def test_unchanged_status_has_no_event() -> None:
    assert events_of(status_of(GOOD), status_of(GOOD)) == []


def test_change_of_trust_names_what_came_and_what_went() -> None:
    moved = [service_body(), pod_body(ips=["10.244.9.9"]), endpoints_body()]
    (event,) = find_event_notes(status_of(GOOD), status_of(moved))
    assert event.note == "now trusted: 10.244.9.9/32; no longer trusted: 10.244.1.2/32"


def test_failure_has_one_event_and_no_other_as_readiness() -> None:
    failed = status_of([service_body(), pod_body(), endpoints_body(ready=False)])
    assert events_of(status_of(GOOD), failed) == [("Warning", "NoEndpoints")]
    assert events_of(failed, failed) == []


def test_new_reason_of_a_failure_has_an_event() -> None:
    assert ("Warning", "NoProxyPods") in events_of(status_of([]), status_of([service_body()]))


def test_held_mail_proxy_has_an_event_only_if_the_user_must_act() -> None:
    before = status_of(GOOD)
    invalid = build_held_status("Why.", 1, Reason.INVALID, before, NOW)
    suspended = build_held_status("Why.", 1, Reason.SUSPENDED, before, NOW)
    assert events_of(before, invalid) == [("Warning", "Invalid")]
    assert events_of(before, suspended) == []


def test_status_of_an_empty_world_is_complete() -> None:
    proxy: MailProxy = mail_proxy()
    MailProxyStatus.model_validate(judge(proxy, World()))


def test_public_port_that_leads_to_the_same_entry_point_twice_is_not_ready() -> None:
    service = service_body(ports=[service_port(25, 2525), service_port(587, 2525)])
    ports = [{"name": "smtp"}, {"name": "submission"}]
    pod = pod_body(args=["--entrypoints.x.address=:2525"])
    status = status_of([service, pod, endpoints_body()], ports=ports)
    assert [(port["entryPoint"], port["ready"]) for port in status["ports"]] == [
        ("x", True),
        ("mail-submission", False),
    ]
