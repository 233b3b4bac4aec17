"""Which proxy pods are probed on which port, how often, and what is reported of them."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from tests.unit.worlds import (
    Body,
    container_body,
    endpoints_body,
    judge,
    mail_proxy,
    observe,
    pod_body,
    service_body,
)

from mailproxy.api.mail_services import PortName
from mailproxy.identity import ObjectRef
from mailproxy.observed.child import Child
from mailproxy.observed.evidence import Evidence
from mailproxy.options import Options
from mailproxy.plan.build import build_plan
from mailproxy.plan.rollout.probe_state import ProbeState
from mailproxy.plan.rollout.probe_targets import find_targets

ALL_PORTS = [{"name": str(name)} for name in PortName]
ENTRY_POINTS = {"mail-imap": 2143, "mail-imaps": 2993, "mail-pop3": 2110, "mail-sieve": 24190}
V4, V6 = ip_address("10.244.1.2"), ip_address("fd00::2")


def pod_with(entry_points: dict[str, int], *arguments: str, **content: Any) -> Body:
    args = [f"--entryPoints.{name}.address=:{port}/tcp" for name, port in entry_points.items()]
    return pod_body(args=[*args, *arguments], ports=[], **content)


def targets_of(*pods: Body, routed: bool = True, ready: bool = True, **spec: Any) -> dict[Any, Any]:
    proxy = mail_proxy(**({"ports": ALL_PORTS} | spec))
    world = observe(proxy, [service_body(), *pods, endpoints_body(ready=ready)])
    plan = build_plan(proxy, world)
    routes = [m["metadata"]["name"] for m in plan.children if m["kind"] == "IngressRouteTCP"]
    children = {
        ObjectRef("IngressRouteTCP", name): Child("IngressRouteTCP", name, "uid", "1", None)
        for name in routes
        if routed
    }
    return dict(find_targets(proxy, replace(world, children=children), plan))


@pytest.mark.parametrize(
    ("names", "port"),
    [
        (("mail-pop3", "mail-sieve", "mail-imap"), 2143),
        (("mail-pop3", "mail-sieve"), 2110),
        (("mail-pop3", "mail-imaps"), 2110),
        (("mail-sieve", "mail-imaps"), 24190),
        (("mail-imaps",), None),
        ((), None),
    ],
)
def test_plain_service_of_dovecot_is_probed(names: tuple[str, ...], port: int | None) -> None:
    found = targets_of(pod_with({name: ENTRY_POINTS[name] for name in names}))
    assert {target.port for target in found.values()} == ({port} if port else set())


def test_pod_is_known_by_its_first_address_and_probed_by_all() -> None:
    pod = pod_with(ENTRY_POINTS, ips=[str(V4), str(V6)])
    other = pod_with(ENTRY_POINTS, name="traefik-1", ips=["fd00::3"])
    found = targets_of(pod, other)
    assert found[V4].addresses == (V4, V6)
    assert list(found) == [V4, ip_address("fd00::3")]


@pytest.mark.parametrize("pod", [{"phase": "Failed"}, {"ips": []}])
def test_pod_without_address_or_that_has_finished_is_not_probed(pod: Body) -> None:
    assert targets_of(pod_with(ENTRY_POINTS, **pod)) == {}


@pytest.mark.parametrize(
    "options",
    [
        {"probe": "Disabled"},
        {"ready": False},
        {"routed": False},
        {"ports": [{"name": "smtp"}, {"name": "imaps"}]},
    ],
)
def test_no_pod_is_probed_where_no_greeting_is_to_be_expected(options: dict[str, Any]) -> None:
    pod = pod_with(ENTRY_POINTS | {"mail-smtp": 2525})
    assert targets_of(pod)
    assert targets_of(pod, **options) == {}


def test_generic_edge_is_not_probed() -> None:
    edge = {"type": "Generic", "serviceName": "traefik"}
    assert targets_of(pod_with(ENTRY_POINTS), edge=edge, ports=[{"name": "imap"}]) == {}


@pytest.mark.parametrize(
    "argument",
    [
        "--entryPoints.mail-imap.proxyProtocol.trustedIPs=10.0.0.0/8",
        "--entrypoints.mail-imap.proxyprotocol=true",
        "-entryPoints.mail-imap.proxyProtocol.insecure",
    ],
)
def test_entry_point_that_waits_for_a_header_itself_is_not_probed(argument: str) -> None:
    found = targets_of(pod_with(ENTRY_POINTS, argument))
    assert {target.port for target in found.values()} == {ENTRY_POINTS["mail-pop3"]}


def test_entry_point_that_waits_by_its_variable_is_not_probed() -> None:
    names = [f"TRAEFIK_ENTRYPOINTS_{n.upper()}_ADDRESS" for n in ENTRY_POINTS]
    env = [
        {"name": name, "value": f":{port}"}
        for name, port in zip(names, ENTRY_POINTS.values(), strict=True)
    ]
    env.append({"name": "TRAEFIK_ENTRYPOINTS_MAIL-IMAP_PROXYPROTOCOL_INSECURE", "value": "true"})
    found = targets_of(pod_body(containers=[container_body(args=[], env=env, ports=[])]))
    assert {target.port for target in found.values()} == {ENTRY_POINTS["mail-pop3"]}


OPTIONS = Options()
GRACE, LONG_GRACE = OPTIONS.probe_grace_seconds, OPTIONS.probe_accepted_grace_seconds
FAST_PAUSE, ACCEPTED_PAUSE = OPTIONS.probe_fast_pause_seconds, OPTIONS.probe_accepted_pause_seconds
NEW = ProbeState(OPTIONS, began=0)


def follow(*tries: tuple[float, bool | None]) -> ProbeState:
    """State of a new pod after these answers."""
    state = NEW
    for now, answer in tries:
        state = state.take(answer, now)
    return state


def test_accepted_header_is_reported_at_once() -> None:
    assert NEW.take(True, 0.1).accepted is True


def test_new_pod_is_not_reported_as_rejected_before_its_grace_has_passed() -> None:
    state = follow((0.1, False), (1.0, False), (2.0, False))
    assert state.accepted is None
    assert state.take(False, 0.1 + GRACE).accepted is False


def test_rejection_counts_from_its_first_in_a_row() -> None:
    state = follow((0.0, False), (1.0, None), (2.0, False), (3.0, False))
    assert state.accepted is None
    assert state.take(False, 2.0 + GRACE).accepted is False


def test_pod_whose_header_was_accepted_has_a_longer_grace() -> None:
    state = follow((0.1, True), (400.0, False), (409.0, False))
    assert state.accepted is True
    assert state.take(False, 400 + LONG_GRACE).accepted is False


def test_pod_that_does_not_answer_any_more_is_not_known_after_a_while() -> None:
    state = follow((0.1, True), (300.0, None))
    assert state.accepted is True
    assert state.take(None, 300 + LONG_GRACE).accepted is None


def test_pod_that_is_not_known_any_more_has_the_short_grace_again() -> None:
    state = follow((0.1, True), (300.0, None), (300 + LONG_GRACE, None), (400.0, False))
    assert state.accepted is None
    assert state.take(False, 400 + GRACE).accepted is False


def test_accepted_header_ends_every_contrary_answer() -> None:
    state = follow((0.1, True), (300.0, False), (301.0, True), (600.0, False))
    assert state.take(False, 602.0).accepted is True


def test_new_pod_is_probed_often_at_first_and_then_ever_less() -> None:
    state = follow((0.1, False), (3.0, False))
    pauses = [state.pause(now) for now in (0.0, 9.9, 10.0, 100.0, 10_000.0)]
    assert pauses == [0.5, 0.5, 1.0, 10.0, OPTIONS.probe_max_pause_seconds]


def test_accepted_pod_is_probed_seldom_until_its_answer_differs() -> None:
    state = NEW.take(True, 1.0)
    assert state.pause(1000.0) == ACCEPTED_PAUSE
    assert state.take(False, 1000.0).pause(1000.0) == FAST_PAUSE


def test_pod_is_probed_often_again_when_the_list_has_changed() -> None:
    state = follow((0.1, False), (3.0, False))
    assert state.restart(500.0).pause(500.0) == FAST_PAUSE
    assert state.restart(500.0).accepted is False


def test_patience_grows_from_short_to_bounded() -> None:
    assert [NEW.patience(now) for now in (0.0, 4.0, 1000.0)] == [1.0, 2.0, 5.0]


def test_durations_are_those_of_the_options() -> None:
    options = replace(
        OPTIONS,
        probe_fast_seconds=4,
        probe_fast_pause_seconds=3,
        probe_max_pause_seconds=7,
        probe_accepted_pause_seconds=8,
        probe_min_patience_seconds=2,
        probe_max_patience_seconds=6,
        probe_grace_seconds=20,
        probe_accepted_grace_seconds=40,
    )
    state = ProbeState(options, began=0)
    assert [state.pause(now) for now in (3.9, 4.0, 20.0, 99.0)] == [3, 1, 5, 7]
    assert [state.patience(now) for now in (0.0, 9.0, 99.0)] == [2, 4.5, 6]
    rejected = state.take(False, 0.0)
    assert [rejected.take(False, now).accepted for now in (19.9, 20.0)] == [None, False]
    accepted = state.take(True, 0.0)
    assert accepted.pause(0.0) == 8
    contrary = accepted.take(False, 0.0)
    assert [contrary.take(False, now).accepted for now in (39.9, 40.0)] == [True, False]


@pytest.mark.parametrize("answer", [None, True, False])
def test_status_reports_what_is_known_of_each_pod(answer: bool | None) -> None:
    proxy = mail_proxy()
    other = pod_body("traefik-1", ips=["10.244.1.3", "fd00::3"])
    world = observe(proxy, [service_body(), pod_body(ips=[str(V4)]), other])
    known = {ip_address("10.244.1.3"): answer} if answer is not None else {}
    status = judge(proxy, world, evidence=Evidence(header_accepted=known))
    assert [pod.get("headerAccepted") for pod in status["proxies"]] == [None, answer]
    assert ("headerAccepted" in status["proxies"][1]) is (answer is not None)
