"""Where proxy pods are asked whether the mail server believes them, how often, and what is said."""

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
from mailproxy.observed.child import Child
from mailproxy.observed.world import World
from mailproxy.plan.build import build_plan
from mailproxy.plan.rollout.probe_state import (
    BELIEVED_GRACE_SECONDS,
    BELIEVED_PAUSE,
    GRACE_SECONDS,
    LONGEST_PAUSE,
    Belief,
)
from mailproxy.plan.rollout.probe_targets import find_targets

ALL_PORTS = [{"name": str(name)} for name in PortName]
ENTRY_POINTS = {"mail-imap": 2143, "mail-imaps": 2993, "mail-pop3": 2110, "mail-sieve": 24190}
V4, V6 = ip_address("10.244.1.2"), ip_address("fd00::2")
SEQUENCE = (None, True, False)


def pod_with(entry_points: dict[str, int], *arguments: str, **content: Any) -> Body:
    args = [f"--entryPoints.{name}.address=:{port}/tcp" for name, port in entry_points.items()]
    return pod_body(args=[*args, *arguments], ports=[], **content)


def targets_of(*pods: Body, routed: bool = True, ready: bool = True, **spec: Any) -> dict[Any, Any]:
    proxy = mail_proxy(**({"ports": ALL_PORTS} | spec))
    world = observe(proxy, [service_body(), *pods, endpoints_body(ready=ready)])
    plan = build_plan(proxy, world)
    routes = [m["metadata"]["name"] for m in plan.children if m["kind"] == "IngressRouteTCP"]
    children = {
        ("IngressRouteTCP", name): Child("IngressRouteTCP", name, "uid", "1", None)
        for name in routes
        if routed
    }
    return dict(find_targets(proxy, replace(world, children=children), plan))


@pytest.mark.parametrize(
    ("names", "port"),
    [
        (("mail-pop3", "mail-sieve", "mail-imap"), 2143),
        (("mail-pop3", "mail-sieve"), 24190),
        (("mail-pop3", "mail-imaps"), 2110),
        (("mail-imaps",), None),
        ((), None),
    ],
)
def test_plain_service_of_dovecot_is_asked(names: tuple[str, ...], port: int | None) -> None:
    found = targets_of(pod_with({name: ENTRY_POINTS[name] for name in names}))
    assert {target.port for target in found.values()} == ({port} if port else set())


def test_pod_is_known_by_its_first_address_and_tried_by_all() -> None:
    pod = pod_with(ENTRY_POINTS, ips=[str(V4), str(V6)])
    other = pod_with(ENTRY_POINTS, name="traefik-1", ips=["fd00::3"])
    found = targets_of(pod, other)
    assert found[V4].addresses == (V4, V6)
    assert list(found) == [V4, ip_address("fd00::3")]


@pytest.mark.parametrize("pod", [{"phase": "Failed"}, {"ips": []}])
def test_pod_without_address_or_that_has_finished_is_not_asked(pod: Body) -> None:
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
def test_nobody_is_asked_where_no_greeting_is_to_be_expected(options: dict[str, Any]) -> None:
    pod = pod_with(ENTRY_POINTS | {"mail-smtp": 2525})
    assert targets_of(pod)
    assert targets_of(pod, **options) == {}


def test_generic_edge_is_not_asked() -> None:
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
def test_entry_point_that_waits_for_a_header_itself_is_not_asked(argument: str) -> None:
    found = targets_of(pod_with(ENTRY_POINTS, argument))
    assert {target.port for target in found.values()} == {ENTRY_POINTS["mail-sieve"]}


def test_entry_point_that_waits_by_its_variable_is_not_asked() -> None:
    names = [f"TRAEFIK_ENTRYPOINTS_{n.upper()}_ADDRESS" for n in ENTRY_POINTS]
    env = [
        {"name": name, "value": f":{port}"}
        for name, port in zip(names, ENTRY_POINTS.values(), strict=True)
    ]
    env.append({"name": "TRAEFIK_ENTRYPOINTS_MAIL-IMAP_PROXYPROTOCOL_INSECURE", "value": "true"})
    found = targets_of(pod_body(containers=[container_body(args=[], env=env, ports=[])]))
    assert {target.port for target in found.values()} == {ENTRY_POINTS["mail-sieve"]}


def follow(belief: Belief, *tries: tuple[float, bool | None]) -> Belief:
    for now, answer in tries:
        belief = belief.take(answer, now)
    return belief


def test_greeting_is_believed_at_once() -> None:
    assert Belief(0).take(True, 0.1).believed is True


def test_new_pod_is_not_called_refused_before_its_grace_has_passed() -> None:
    belief = follow(Belief(0), (0.1, False), (1.0, False), (2.0, False))
    assert belief.believed is None
    assert belief.take(False, 0.1 + GRACE_SECONDS).believed is False


def test_refusal_counts_from_its_first_in_a_row() -> None:
    belief = follow(Belief(0), (0.0, False), (1.0, None), (2.0, False), (3.0, False))
    assert belief.believed is None
    assert belief.take(False, 2.0 + GRACE_SECONDS).believed is False


def test_believed_pod_is_doubted_for_longer() -> None:
    belief = follow(Belief(0), (0.1, True), (400.0, False), (409.0, False))
    assert belief.believed is True
    assert belief.take(False, 400 + BELIEVED_GRACE_SECONDS).believed is False


def test_pod_that_does_not_answer_any_more_is_not_known_after_a_while() -> None:
    belief = follow(Belief(0), (0.1, True), (300.0, None))
    assert belief.believed is True
    assert belief.take(None, 300 + BELIEVED_GRACE_SECONDS).believed is None


def test_greeting_ends_every_doubt() -> None:
    belief = follow(Belief(0), (0.1, True), (300.0, False), (301.0, True), (600.0, False))
    assert belief.take(False, 602.0).believed is True


def test_new_pod_is_looked_at_often_at_first_and_then_ever_less() -> None:
    belief = follow(Belief(0), (0.1, False), (3.0, False))
    pauses = [belief.pause(now) for now in (0.0, 9.9, 10.0, 100.0, 10_000.0)]
    assert pauses == [0.5, 0.5, 1.0, 10.0, LONGEST_PAUSE]


def test_believed_pod_is_looked_at_seldom_until_it_surprises() -> None:
    belief = Belief(0).take(True, 1.0)
    assert belief.pause(1000.0) == BELIEVED_PAUSE
    assert belief.take(False, 1000.0).pause(1000.0) == 0.5


def test_changed_list_makes_it_urgent_again() -> None:
    belief = follow(Belief(0), (0.1, False), (3.0, False))
    assert belief.restart(500.0).pause(500.0) == 0.5
    assert belief.restart(500.0).believed is False


def test_patience_grows_from_short_to_bounded() -> None:
    assert [Belief(0).patience(now) for now in (0.0, 4.0, 1000.0)] == [1.0, 2.0, 5.0]


@pytest.mark.parametrize("said", SEQUENCE)
def test_status_tells_what_is_known_of_each_pod(said: bool | None) -> None:
    proxy = mail_proxy()
    other = pod_body("traefik-1", ips=["10.244.1.3", "fd00::3"])
    world: World = observe(proxy, [service_body(), pod_body(ips=[str(V4)]), other])
    beliefs = {ip_address("10.244.1.3"): said} if said is not None else {}
    status = judge(proxy, replace(world, beliefs=beliefs))
    assert [pod.get("believed") for pod in status["proxies"]] == [None, said]
