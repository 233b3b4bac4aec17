"""Which MailProxy may have an entryPoint or a mail server; all must come to the same answer."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.worlds import discover, mail_proxy, pod_body, selecting, service_body, service_port

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.plan.conflicts import edge_id, find_conflict
from mailproxy.plan.edge.model import Edge
from mailproxy.plan.edge.ports import assign_ports

EDGE_A = {"serviceName": "edge-a"}
EDGE_B = {"serviceName": "edge-b"}
SMTP, IMAPS = {"name": "smtp"}, {"name": "imaps"}
IMAPS_BY_HOST = {"name": "imaps", "sni": "Hostname"}


def the_edge(proxy: MailProxy) -> Edge:
    """An edge on which port 25 leads to `in-25`, and so on; the same for everybody."""
    numbers = (25, 587, 143, 993)
    arguments = [f"--entrypoints.in-{number}.address=:{9000 + number}" for number in numbers]
    name = proxy.spec.edge.service_name or ""
    service = service_body(name, ports=[service_port(n, 9000 + n) for n in numbers])
    pod = pod_body(args=[*arguments, "--entrypoints.shared.address=:9999"])
    return discover(proxy, [service, pod])


def conflict(proxy: MailProxy, *others: MailProxy) -> str | None:
    """Message of the conflict that a MailProxy finds."""
    found = find_conflict(proxy, others, the_edge(proxy))
    return found.message if found else None


def test_conflict_is_a_finding_about_the_spec() -> None:
    old, young = aged("old", 1), aged("young", 2)
    found = find_conflict(young, [old], the_edge(young))
    assert found is not None
    assert (found.condition, found.reason) == (ConditionType.ACCEPTED, Reason.CONFLICT)
    assert (found.status, found.object) == (ConditionStatus.FALSE, None)
    assert found.message.endswith(".")


def accepted(*proxies: MailProxy) -> list[str]:
    """Names of those that find nothing in their way, each looking for itself."""
    return [proxy.name for proxy in proxies if conflict(proxy, *proxies) is None]


def aged(name: str, day: int, namespace: str = "", **spec: Any) -> MailProxy:
    """A MailProxy made on a day of July, with a mail server of its own unless `spec` names one."""
    spec = {"mailServer": selecting(app=name), "edge": EDGE_A, "ports": [SMTP]} | spec
    created = f"2026-07-{day:02}T10:00:00Z"
    return mail_proxy(name, namespace or name, uid=f"uid-{name}", created=created, **spec)


def test_older_one_has_the_port() -> None:
    old, young = aged("young-by-name", 1), aged("a", 2)
    assert accepted(young, old) == ["young-by-name"]
    assert "port 25" in str(conflict(young, old)) or "entryPoint in-25" in str(conflict(young, old))


def test_equal_age_is_decided_by_namespace_and_name() -> None:
    first, second = aged("z", 1, "a"), aged("a", 1, "b")
    assert accepted(second, first) == ["z"]
    third, fourth = aged("a", 1, "n"), aged("b", 1, "n")
    assert accepted(fourth, third) == ["a"]


def test_one_that_waits_claims_nothing() -> None:
    first = aged("first", 1, ports=[SMTP])
    second = aged("second", 2, ports=[SMTP, IMAPS])
    third = aged("third", 3, ports=[IMAPS])
    assert accepted(first, second, third) == ["first", "third"]


def test_one_that_waits_for_its_mail_server_claims_no_entry_point() -> None:
    mail = selecting(app="mail")
    first = aged("first", 1, "mail", mailServer=mail, edge=EDGE_B)
    second = aged("second", 2, "mail", mailServer=mail, edge=EDGE_A)
    third = aged("third", 3, edge=EDGE_A)
    assert accepted(first, second, third) == ["first", "third"]


def test_everyone_sees_the_same_winner_though_their_edges_differ() -> None:
    zero = aged("zero", 1, ports=[{"name": "smtp", "entryPoint": "in-143"}])
    first = aged("first", 2, ports=[SMTP, {"name": "imap"}])
    second = aged("second", 3, "mail", mailServer=selecting(app="mail"), ports=[SMTP])
    other = aged("other", 4, "mail", mailServer=selecting(app="mail"), edge=EDGE_B)
    assert accepted(zero, first, second, other) == ["zero", "second"]


def test_same_port_of_another_edge_is_free() -> None:
    assert accepted(aged("a", 1, edge=EDGE_A), aged("b", 2, edge=EDGE_B)) == ["a", "b"]


def test_different_ports_of_one_edge_do_not_conflict() -> None:
    assert accepted(aged("a", 1, ports=[SMTP]), aged("b", 2, ports=[IMAPS])) == ["a", "b"]


def test_different_host_names_share_a_tls_port() -> None:
    a = aged("a", 1, hostname="a.example.com", ports=[IMAPS_BY_HOST])
    b = aged("b", 2, hostname="b.example.com", ports=[IMAPS_BY_HOST])
    assert accepted(a, b) == ["a", "b"]


def test_the_same_host_name_conflicts() -> None:
    a = aged("a", 1, hostname="a.example.com", ports=[IMAPS_BY_HOST])
    b = aged("b", 2, hostname="a.example.com", ports=[IMAPS_BY_HOST])
    assert accepted(a, b) == ["a"]


@pytest.mark.parametrize(("first", "second"), [(IMAPS, IMAPS_BY_HOST), (IMAPS_BY_HOST, IMAPS)])
def test_any_and_hostname_conflict(first: Any, second: Any) -> None:
    a = aged("a", 1, hostname="a.example.com", ports=[first])
    b = aged("b", 2, hostname="b.example.com", ports=[second])
    assert accepted(a, b) == ["a"]


def test_third_host_name_conflicts_with_any_of_those_that_share() -> None:
    a = aged("a", 1, hostname="a.example.com", ports=[IMAPS_BY_HOST])
    b = aged("b", 2, hostname="b.example.com", ports=[IMAPS_BY_HOST])
    c = aged("c", 3, hostname="b.example.com", ports=[IMAPS_BY_HOST])
    assert accepted(a, b, c) == ["a", "b"]
    assert "older MailProxy b/b" in str(conflict(c, a, b))


def test_named_entry_point_is_the_one_behind_somebodys_port() -> None:
    named = [{"name": "smtp", "entryPoint": "in-143"}]
    a, b = aged("a", 1, ports=[{"name": "imap"}]), aged("b", 2, ports=named)
    assert accepted(a, b) == ["a"]
    assert "entryPoint in-143" in str(conflict(b, a))


def test_other_entry_point_makes_the_same_port_free() -> None:
    named = [{"name": "smtp", "entryPoint": "shared"}]
    assert accepted(aged("a", 1), aged("b", 2, ports=named)) == ["a", "b"]


def test_port_is_taken_even_while_the_edge_is_unknown() -> None:
    a, b = aged("a", 1), aged("b", 2)
    nothing = discover(b, [])
    assert find_conflict(a, [b], nothing) is None
    assert find_conflict(b, [a], nothing) is not None


def test_generic_edges_are_routed_by_hand_and_conflict_with_nobody() -> None:
    generic = {"type": "Generic", "serviceName": "edge-a"}
    a, b = aged("a", 1, edge=generic), aged("b", 2, edge=generic)
    assert accepted(a, b, aged("c", 3)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"app": "mail"}, {"app": "mail"}),
        ({"app": "mail"}, {"app": "mail", "tier": "a"}),
        ({"app": "mail", "tier": "a"}, {"app": "mail"}),
    ],
)
def test_mail_server_follows_only_one(mine: dict[str, str], theirs: dict[str, str]) -> None:
    a = aged("a", 1, "mail", mailServer=selecting(**mine), edge=EDGE_A)
    b = aged("b", 2, "mail", mailServer=selecting(**theirs), edge=EDGE_B)
    assert accepted(a, b) == ["a"]
    assert "`spec.mailServer.podSelector`" in str(conflict(b, a))


def test_different_pods_of_one_namespace_do_not_conflict() -> None:
    a = aged("a", 1, "mail", edge=EDGE_A)
    assert accepted(a, aged("b", 2, "mail", edge=EDGE_B)) == ["a", "b"]


def test_same_labels_in_different_namespaces_are_different_pods() -> None:
    mail = selecting(app="mail")
    a = aged("a", 1, mailServer=mail, edge=EDGE_A)
    assert accepted(a, aged("b", 2, mailServer=mail, edge=EDGE_B)) == ["a", "b"]


def test_order_of_ports_does_not_change_the_message() -> None:
    ports = [SMTP, {"name": "imap"}, IMAPS]
    old, young = aged("old", 1, ports=ports), aged("young", 2, ports=ports)
    turned = aged("young", 2, ports=ports[::-1])
    assert conflict(turned, old) == conflict(young, old)


def test_order_of_labels_does_not_change_the_message() -> None:
    a = aged("a", 1, "mail", mailServer=selecting(app="mail"), ports=[SMTP])
    b = aged("b", 2, "mail", mailServer=selecting(tier="front"), ports=[IMAPS])
    labels = {"app": "mail", "tier": "front"}
    c = aged("c", 3, "mail", mailServer=selecting(**labels))
    turned = aged("c", 3, "mail", mailServer=selecting(**dict(reversed(labels.items()))))
    assert conflict(c, a, b) == conflict(turned, a, b)


def test_message_names_the_object_the_field_and_the_remedy() -> None:
    old, young = aged("old", 1, "there"), aged("young", 2)
    message = str(conflict(young, old))
    assert "traefik/edge-a" in message
    assert "older MailProxy there/old" in message
    assert "`spec.ports[].entryPoint`" in message


def test_it_is_not_in_its_own_way() -> None:
    proxy = aged("a", 2)
    newer_copy = proxy.model_copy()
    assert conflict(proxy, proxy, newer_copy) is None


def test_manifests_without_uid_are_told_apart_by_name() -> None:
    a = mail_proxy("a", uid="", created="", mailServer=selecting(app="a"))
    b = mail_proxy("b", uid="", created="", mailServer=selecting(app="b"))
    assert (conflict(a, b), conflict(b, a) is None) == (None, False)


port_lists = st.lists(
    st.sampled_from(
        [
            SMTP,
            {"name": "imap"},
            IMAPS,
            IMAPS_BY_HOST,
            {"name": "smtp", "entryPoint": "in-143"},
            {"name": "imap", "entryPoint": "shared"},
            {"name": "imaps", "entryPoint": "shared", "sni": "Hostname"},
        ]
    ),
    min_size=1,
    max_size=3,
    unique_by=(lambda port: port["name"], lambda port: port.get("entryPoint", port["name"])),
)


@st.composite
def populations(draw: st.DrawFn) -> list[MailProxy]:
    """Up to six MailProxies that have every reason to conflict."""
    return [
        aged(
            f"p{number}",
            draw(st.integers(1, 3)),
            draw(st.sampled_from(["one", "two"])),
            hostname=draw(st.sampled_from(["a.example.com", "b.example.com"])),
            edge=draw(st.sampled_from([EDGE_A, EDGE_B])),
            ports=draw(port_lists),
            mailServer=selecting(app=draw(st.sampled_from("abcd"))),
        )
        for number in range(draw(st.integers(2, 6)))
    ]


def do_conflict(one: MailProxy, two: MailProxy) -> bool:
    """Whether both at once would do harm, by none of the code under test but that of routes."""
    labels = [proxy.spec.mail_server.pod_selector.match_labels for proxy in (one, two)]
    if one.namespace == two.namespace and labels[0] == labels[1]:
        return True
    if edge_id(one.spec.edge) != edge_id(two.spec.edge):
        return False
    routes = [
        {
            port.entry_point: proxy.spec.hostname if port.by_hostname else None
            for port in assign_ports(proxy.spec, the_edge(proxy))
        }
        for proxy in (one, two)
    ]
    hosts = [(routes[0][name], routes[1][name]) for name in routes[0].keys() & routes[1].keys()]
    return any(mine is None or theirs is None or mine == theirs for mine, theirs in hosts)


@given(proxies=populations())
def test_those_accepted_never_conflict(proxies: Sequence[MailProxy]) -> None:
    chosen = [proxy for proxy in proxies if conflict(proxy, *proxies) is None]
    assert not [(a.name, b.name) for a, b in combinations(chosen, 2) if do_conflict(a, b)]


@given(proxies=populations())
def test_oldest_is_always_accepted_and_everyone_waits_for_an_older_one(
    proxies: Sequence[MailProxy],
) -> None:
    line = sorted(proxies, key=lambda p: (p.metadata.creation_timestamp, p.namespace, p.name))
    assert conflict(line[0], *proxies) is None
    for place, proxy in enumerate(line):
        if reason := conflict(proxy, *proxies):
            assert any(f"{older.namespace}/{older.name}" in reason for older in line[:place])


@given(proxies=populations(), random=st.randoms())
def test_order_and_duplicates_of_the_others_do_not_matter(
    proxies: list[MailProxy], random: Any
) -> None:
    mixed = [*proxies, *proxies]
    random.shuffle(mixed)
    assert [conflict(p, *mixed) for p in proxies] == [conflict(p, *proxies) for p in proxies]


@given(proxies=populations())
def test_younger_ones_change_nothing(proxies: list[MailProxy]) -> None:
    line = sorted(proxies, key=lambda p: (p.metadata.creation_timestamp, p.namespace, p.name))
    for place, proxy in enumerate(line):
        assert conflict(proxy, *line[:place]) == conflict(proxy, *proxies)
