"""What of a MailProxy's children is deleted, and what stays while too little is known."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.worlds import (
    Body,
    child_body,
    config_map_body,
    mail_proxy,
    mail_proxy_body,
    observe,
    pod_body,
    remembering,
    selecting,
    service_body,
)

from mailproxy.api.mailproxy import MailProxy
from mailproxy.plan.build import build_plan
from mailproxy.plan.model import CHILD_KINDS

EVERYTHING = [
    ("ConfigMap", "mail-overrides"),
    ("ConfigMap", "mail-trust"),
    ("IngressRouteTCP", "mail-imap"),
    ("IngressRouteTCP", "mail-smtp"),
    ("NetworkPolicy", "mail-proxy-ports"),
    ("Service", "mail-proxy"),
    ("ServersTransportTCP", "mail"),
]
MEMORY = '{"namespace":"traefik","labels":{"app.kubernetes.io/name":"traefik"}}'
TWO_PORTS = [{"name": "smtp"}, {"name": "imap"}]
WITH_TRANSPORT = {"traefik": {"proxyProtocolField": "ServersTransport"}}


def leftovers(proxy: MailProxy) -> list[Body]:
    """Children as a former spec may have left them."""
    return [
        remembering(proxy, MEMORY) if name == "mail-trust" else child_body(proxy, kind, name)
        for kind, name in EVERYTHING
    ]


def stale(*objects: Body, missing: frozenset[str] = frozenset(), **spec: Any) -> list[str]:
    """Kind and name of what is deleted when all children that ever were are there."""
    proxy = mail_proxy(**{"ports": TWO_PORTS, "edge": WITH_TRANSPORT} | spec)
    world = observe(proxy, [*leftovers(proxy), *objects])
    world = replace(world, missing_kinds=missing)
    found = build_plan(proxy, world).find_stale(world.children)
    return [f"{child.kind} {child.name}" for child in found]


def test_routes_are_deleted_before_what_they_need() -> None:
    proxy = mail_proxy()
    world = observe(proxy, leftovers(proxy))
    plan = replace(build_plan(proxy, world), children=(), kept_kinds=frozenset(), findings=())
    assert [tuple(child.ref) for child in plan.find_stale(world.children)] == [
        ("IngressRouteTCP", "mail-imap"),
        ("IngressRouteTCP", "mail-smtp"),
        ("ServersTransportTCP", "mail"),
        ("Service", "mail-proxy"),
        ("NetworkPolicy", "mail-proxy-ports"),
        ("ConfigMap", "mail-overrides"),
        ("ConfigMap", "mail-trust"),
    ]


def test_children_are_written_in_the_order_opposite_to_deletion() -> None:
    proxy = mail_proxy(ports=TWO_PORTS, edge=WITH_TRANSPORT)
    children = build_plan(proxy, observe(proxy, [service_body(), pod_body()])).children
    kinds = [child["kind"] for child in children]
    assert kinds == sorted(kinds, key=list(CHILD_KINDS).index)


def test_nothing_that_is_wanted_is_deleted() -> None:
    assert stale(service_body(), pod_body()) == []


def test_route_of_a_port_that_is_no_longer_asked_for_is_deleted() -> None:
    objects = [service_body(), pod_body()]
    assert stale(*objects, ports=[{"name": "smtp"}]) == ["IngressRouteTCP mail-imap"]


def test_transport_is_deleted_when_routes_set_the_header_themselves() -> None:
    assert stale(service_body(), pod_body(), edge={}) == ["ServersTransportTCP mail"]


def test_policy_is_deleted_when_it_is_disabled() -> None:
    objects = [service_body(), pod_body()]
    assert stale(*objects, networkPolicy="Disabled") == ["NetworkPolicy mail-proxy-ports"]


def test_generic_edge_has_no_routes() -> None:
    edge = {"type": "Generic", "serviceName": "traefik"}
    assert stale(service_body(), pod_body(), edge=edge) == [
        "IngressRouteTCP mail-imap",
        "IngressRouteTCP mail-smtp",
        "ServersTransportTCP mail",
    ]


@pytest.mark.parametrize(
    "objects",
    [[], [pod_body()], [service_body()], [service_body(), pod_body(phase="Failed")]],
)
def test_routes_stay_while_the_edge_is_unknown_or_gone(objects: list[Body]) -> None:
    assert stale(*objects, ports=[{"name": "smtp"}]) == []


def test_everything_stays_during_a_conflict() -> None:
    rival = mail_proxy_body("older", created="2026-01-01T00:00:00Z", uid="older")
    assert stale(rival, service_body(), pod_body(), networkPolicy="Disabled", edge={}) == []


def test_routes_stay_while_their_crd_is_missing() -> None:
    kinds = frozenset({"IngressRouteTCP", "ServersTransportTCP"})
    assert stale(service_body(), pod_body(), missing=kinds) == []


def test_trust_goes_on_during_a_conflict_and_nothing_else_is_written() -> None:
    proxy = mail_proxy()
    rival = mail_proxy_body("older", created="2026-01-01T00:00:00Z", uid="older")
    objects = [*leftovers(proxy), rival, service_body(), pod_body()]
    (child,) = build_plan(proxy, observe(proxy, objects)).children
    assert child["metadata"]["name"] == "mail-trust"
    assert child["data"] == {"dovecot-trust.conf": "haproxy_trusted_networks = 10.244.1.2\n"}


def test_new_mail_proxy_in_a_conflict_creates_nothing() -> None:
    proxy = mail_proxy()
    rival = mail_proxy_body("older", created="2026-01-01T00:00:00Z", uid="older")
    assert build_plan(proxy, observe(proxy, [rival, service_body(), pod_body()])).children == ()


def test_overrides_stay_while_the_users_files_cannot_be_taken() -> None:
    server = selecting(app="mail") | {"overridesFrom": "own"}
    objects = [service_body(), pod_body()]
    broken = config_map_body("own", data={"dovecot.cf": "}"})
    assert stale(*objects, mailServer=server) == []
    assert stale(*objects, broken, mailServer=server) == []
    for own in ([], [broken]):
        proxy = mail_proxy(mailServer=server)
        plan = build_plan(proxy, observe(proxy, [*objects, *own]))
        names = {child["metadata"]["name"] for child in plan.children}
        assert "mail-overrides" not in names
        assert names >= {"mail-trust", "mail-proxy", "mail-proxy-ports", "mail-smtp"}
