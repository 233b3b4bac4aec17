"""Every message names the object, the field and the remedy."""

import re
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.mail_server_bodies import mail_pod_body
from tests.unit.worlds import (
    Body,
    child_body,
    condition,
    config_map_body,
    endpoints_body,
    judge,
    mail_proxy,
    mail_proxy_body,
    node_body,
    observe,
    pod_body,
    remembering,
    selecting,
    service_body,
)

from mailproxy.api.finding import Finding
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.conditions import find_owner
from mailproxy.identity import ObjectRef
from mailproxy.plan.build import build_plan

GOOD = [service_body(), pod_body(), endpoints_body(), mail_pod_body()]
FILE_ONLY = [service_body(), pod_body(args=["--configfile=/x"]), endpoints_body()]
BY_LABEL = {"podSelector": {"matchLabels": {"app": "edge"}}}
NODE_CIDRS = {"trust": {"from": "NodePodCIDRs"}}
RIVAL = mail_proxy_body("older", "there", uid="u", created="2026-01-01T00:00:00Z")
OLDER = mail_proxy_body("older", uid="u", created="2026-01-01T00:00:00Z")

no_selector = service_body()
del no_selector["spec"]["selector"]
host_pod = pod_body(ips=["192.0.2.1"], host_network=True)
many_pods = [pod_body(f"p{n}", [f"fd00::{n:x}"]) for n in range(1, 2002)]
memory = remembering(mail_proxy(), '{"namespace":"traefik","labels":{"app":"edge"}}')
OWN_FILES = {"mailServer": selecting(app="mail") | {"overridesFrom": "own"}}
broken = config_map_body("own", data={"dovecot.cf": "mail_debug = yes\n}\n"})
overrides = child_body(mail_proxy(), "ConfigMap", "mail-overrides")
ipv4_server = mail_pod_body(env={"POSTFIX_INET_PROTOCOLS": "ipv4"})

CASES: list[tuple[str, Reason, list[Body], dict[str, Any], list[str]]] = [
    ("Accepted", Reason.ACCEPTED, GOOD, {}, ["spec", "older MailProxy"]),
    (
        "Accepted",
        Reason.CONFLICT,
        [RIVAL, *GOOD],
        {},
        ["there/older", "traefik/traefik", "`spec.ports[].entryPoint`", "name another"],
    ),
    (
        "Accepted",
        Reason.CONFLICT,
        [OLDER, *GOOD],
        {},
        ["mail/older", "`spec.mailServer.podSelector`", "select others"],
    ),
    (
        "Accepted",
        Reason.OVERRIDES_NOT_FOUND,
        GOOD,
        OWN_FILES,
        [
            "ConfigMap mail/own does not exist",
            "ConfigMap mail-overrides is created then",
            "Create it",
            "`spec.mailServer.overridesFrom`",
        ],
    ),
    (
        "Accepted",
        Reason.OVERRIDES_INVALID,
        [*GOOD, remembering(mail_proxy(), ""), overrides, broken],
        OWN_FILES,
        ["ConfigMap mail/own", "dovecot.cf line 2", "remove it", "mail-overrides stays as it is"],
    ),
    ("EdgeDiscovered", Reason.DISCOVERED, GOOD, {}, ["1 proxy pod of traefik/traefik", "3.7.9"]),
    (
        "EdgeDiscovered",
        Reason.SERVICE_NOT_FOUND,
        [],
        {},
        ["Service traefik/traefik", "`spec.edge.serviceName`", "Fix"],
    ),
    (
        "EdgeDiscovered",
        Reason.SERVICE_NOT_FOUND,
        [memory, pod_body(labels={"app": "edge"})],
        {},
        ["trust follows the pods with labels app=edge in namespace traefik", "routes stay"],
    ),
    (
        "EdgeDiscovered",
        Reason.NO_SELECTOR,
        [no_selector],
        {},
        ["Service traefik/traefik", "`spec.edge.podSelector`", "Select them"],
    ),
    (
        "EdgeDiscovered",
        Reason.NO_PROXY_PODS,
        [],
        {"edge": BY_LABEL},
        ["app=edge in namespace traefik", "`spec.edge`", "Start the edge"],
    ),
    (
        "EdgeDiscovered",
        Reason.TRAEFIK_PROXY_PROTOCOL_BUG,
        [service_body(), pod_body(image="traefik:v3.5.2")],
        {},
        ["Traefik 3.5.2", "Upgrade Traefik to 3.5.3"],
    ),
    (
        "EdgeDiscovered",
        Reason.TRAEFIK_TOO_OLD,
        [service_body(), pod_body(image="traefik:v3.4.1")],
        {"edge": {"traefik": {"proxyProtocolField": "ServersTransport"}}},
        [
            "Traefik 3.4.1",
            "`spec.edge.traefik.proxyProtocolField: ServersTransport`",
            "Upgrade Traefik",
        ],
    ),
    ("EntryPointsReady", Reason.FOUND, GOOD, {}, ["smtp mail-smtp", "imaps mail-imaps"]),
    (
        "EntryPointsReady",
        Reason.NOT_APPLICABLE,
        GOOD,
        {"edge": {"type": "Generic", "serviceName": "traefik"}},
        ["Generic"],
    ),
    ("EntryPointsReady", Reason.PENDING, [], {}, ["Waiting for the edge", "EdgeDiscovered"]),
    (
        "EntryPointsReady",
        Reason.UNKNOWN,
        FILE_ONLY,
        {},
        ["mail-smtp", "TRAEFIK_ENTRYPOINTS_*", "`spec.ports[].entryPoint`"],
    ),
    (
        "EntryPointsReady",
        Reason.ENTRY_POINT_MISSING,
        GOOD,
        {"ports": [{"name": "sieve"}]},
        ["port 4190 (sieve)", "chart's values", "`spec.ports[].entryPoint`", "mail-imap"],
    ),
    ("RoutesReady", Reason.APPLIED, GOOD, {}, ["Service mail-proxy"]),
    ("RoutesReady", Reason.PENDING, GOOD[:2], {}, ["mail-proxy"]),
    ("RoutesReady", Reason.PENDING, [RIVAL, *GOOD], {}, ["accepted"]),
    ("RoutesReady", Reason.WAITING_FOR_EDGE, [], {}, ["EdgeDiscovered"]),
    (
        "RoutesReady",
        Reason.NO_ENDPOINTS,
        [*GOOD[:2], endpoints_body(ready=False)],
        {},
        [
            "Service mail-proxy",
            "app.kubernetes.io/name=docker-mailserver in namespace mail",
            "`spec.mailServer.podSelector`",
            "Start the mail server",
        ],
    ),
    ("TrustReady", Reason.UP_TO_DATE, GOOD, {}, ["1 address trusted: of the proxy pods"]),
    ("TrustReady", Reason.PENDING, [RIVAL, *GOOD], {}, ["accepted"]),
    (
        "TrustReady",
        Reason.NO_PROXY_PODS,
        [],
        {},
        ["no live proxy pod", "`spec.edge`", "`spec.trust.networks`", "Start the edge"],
    ),
    (
        "TrustReady",
        Reason.HOST_NETWORK,
        [service_body(), host_pod],
        {},
        ["node-1", "without hostNetwork"],
    ),
    (
        "TrustReady",
        Reason.WIDE_NETWORK,
        GOOD,
        {"trust": {"networks": ["198.51.100.0/24"]}},
        ["198.51.100.0/24", "`spec.trust.networks`"],
    ),
    (
        "TrustReady",
        Reason.NO_NODE_ADDRESSES,
        [*GOOD, node_body("node-1")],
        NODE_CIDRS,
        ["Node node-1", "`spec.podCIDRs`", "`spec.trust.from`"],
    ),
    (
        "TrustReady",
        Reason.TOO_MANY_ADDRESSES,
        [service_body(), *many_pods],
        {},
        ["2001", "`spec.trust.networks`", "Run fewer"],
    ),
    (
        "PortsIsolated",
        Reason.POLICY_APPLIED,
        GOOD,
        {},
        ["NetworkPolicy mail-proxy-ports", "is not checked"],
    ),
    (
        "PortsIsolated",
        Reason.POLICY_DISABLED,
        GOOD,
        {"networkPolicy": "Disabled"},
        ["`spec.networkPolicy`", "Set it to `Enabled`"],
    ),
    ("PortsIsolated", Reason.PENDING, [RIVAL, *GOOD], {}, ["accepted"]),
    ("MailServerReady", Reason.MOUNTED, GOOD, {}, ["dms-0"]),
    ("MailServerReady", Reason.PENDING, [RIVAL, *GOOD], {}, ["accepted"]),
    (
        "MailServerReady",
        Reason.NO_MAIL_SERVER_PODS,
        GOOD[:3],
        {},
        [
            "app.kubernetes.io/name=docker-mailserver in namespace mail",
            "`spec.mailServer.podSelector`",
            "Start the mail server",
        ],
    ),
    (
        "MailServerReady",
        Reason.OVERRIDES_NOT_MOUNTED,
        [mail_pod_body(mounts=[])],
        {},
        ["Pod dms-0", "mail-overrides", "volumeMounts", "`spec.mailServer.wiring: Inject`"],
    ),
    (
        "MailServerReady",
        Reason.IPV6_DISABLED,
        [service_body(), pod_body(ips=["fd00::1"]), ipv4_server],
        {},
        ["Pod dms-0", "POSTFIX_INET_PROTOCOLS=ipv4", "Set POSTFIX_INET_PROTOCOLS to all"],
    ),
    (
        "MailServerReady",
        Reason.PERMIT_DOCKER,
        [mail_pod_body(env={"PERMIT_DOCKER": "host"})],
        {},
        ["Pod dms-0", "PERMIT_DOCKER=host", "port 25", "PROXY ports give no such right", "none"],
    ),
    (
        "Ready",
        Reason.READY,
        GOOD,
        {},
        ["spec, edge, entryPoints, routes, trust, network policy, mail server"],
    ),
]
# Reasons that come from outside the plan: from applying, or with a status that is held.
FROM_ELSEWHERE = {
    *(Reason.INVALID, Reason.SUSPENDED, Reason.UNOBSERVABLE),
    *(Reason.CRD_MISSING, Reason.CRD_OUTDATED, Reason.NOT_OWNED, Reason.REFUSED),
    *(Reason.WIRING_NOT_ALLOWED, Reason.WORKLOAD_NOT_FOUND),
}
# Theirs are in test_mail_server_ready.py, with their causes.
TESTED_ELSEWHERE = {
    *(Reason.RESTART_PENDING, Reason.RELOAD_PENDING, Reason.VOLUME_REFRESH_NOT_ALLOWED),
    Reason.PLAIN_CLIENTS_REJECTED,
}


@pytest.mark.parametrize(
    ("type_", "reason", "objects", "spec", "expected"),
    CASES,
    ids=[f"{type_}-{reason}" for type_, reason, *_ in CASES],
)
def test_message_names_object_field_and_remedy(
    type_: str, reason: Reason, objects: list[Body], spec: Any, expected: list[str]
) -> None:
    proxy = mail_proxy(**spec)
    found = condition(judge(proxy, observe(proxy, objects)), type_)
    assert found["reason"] == reason
    assert [part for part in expected if part not in found["message"]] == []
    assert re.fullmatch(r"[A-Z0-9].*\.|entryPoint .*\.|port .*\.|`spec.*\.", found["message"])
    assert "  " not in found["message"]
    assert "None" not in re.sub("`.*?`", "", found["message"])


def test_every_reason_has_a_case() -> None:
    assert {reason for _, reason, *_ in CASES} | FROM_ELSEWHERE | TESTED_ELSEWHERE == set(Reason)


def test_missing_crd_is_reported_with_the_number_of_routes_that_wait() -> None:
    proxy = mail_proxy()
    world = replace(observe(proxy, GOOD), missing_kinds=frozenset({"IngressRouteTCP"}))
    plan = build_plan(proxy, world)
    found = condition(judge(proxy, world), "RoutesReady")
    assert (found["status"], found["reason"]) == ("False", "CRDMissing")
    assert "IngressRouteTCP mail-smtp: the API server does not serve" in found["message"]
    assert "install Traefik's CRDs" in found["message"]
    assert "(And 4 more.)" in found["message"]
    assert not [child for child in plan.children if child["kind"] == "IngressRouteTCP"]
    assert plan.find_stale(world.children) == []


def test_failure_belongs_to_the_condition_of_its_object_and_is_not_counted_elsewhere() -> None:
    proxy = mail_proxy()
    failures = tuple(
        Finding(find_owner(proxy, ref), reason, f"{ref} {text}.", ref)
        for ref, reason, text in (
            (ObjectRef("ConfigMap", "mail-trust"), Reason.REFUSED, "is over quota"),
            (ObjectRef("Service", "mail-proxy"), Reason.NOT_OWNED, "already exists"),
            (ObjectRef("NetworkPolicy", "mail-proxy-ports"), Reason.REFUSED, "is refused"),
            (ObjectRef("ConfigMap", "mail-overrides"), Reason.NOT_OWNED, "already exists"),
        )
    )
    status = judge(proxy, observe(proxy, GOOD), failures=failures)
    types = ("TrustReady", "RoutesReady", "PortsIsolated", "MailServerReady", "Ready")
    assert [condition(status, type_)["message"] for type_ in types] == [
        "ConfigMap mail-trust is over quota.",
        "Service mail-proxy already exists.",
        "NetworkPolicy mail-proxy-ports is refused.",
        "ConfigMap mail-overrides already exists.",
        "Service mail-proxy already exists.",
    ]
    assert condition(status, "Ready")["reason"] == "NotOwned"
