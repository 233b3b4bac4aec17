"""Every message names the object, the field and the remedy."""

import re
from typing import Any

import pytest
from tests.unit.mail_server_bodies import mail_pod_body
from tests.unit.worlds import (
    NOW,
    Body,
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

from mailproxy.api.reasons import Reason
from mailproxy.diagnose.status import build_status
from mailproxy.observed.world import World
from mailproxy.plan.build import build_plan
from mailproxy.plan.model import Problem

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
overrides = remembering(mail_proxy(), "")
overrides["metadata"]["name"] = "mail-overrides"
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
        ["ConfigMap mail/own does not exist", "mail-overrides is made then", "make it"],
    ),
    (
        "Accepted",
        Reason.OVERRIDES_INVALID,
        [*GOOD, remembering(mail_proxy(), ""), overrides, broken],
        OWN_FILES,
        ["ConfigMap mail/own", "dovecot.cf line 2", "take it out", "mail-overrides stays as it is"],
    ),
    ("EdgeDiscovered", Reason.DISCOVERED, GOOD, {}, ["1 proxy pod of traefik/traefik", "3.7.9"]),
    (
        "EdgeDiscovered",
        Reason.SERVICE_NOT_FOUND,
        [],
        {},
        ["Service traefik/traefik", "`spec.edge.serviceName`", "mend"],
    ),
    (
        "EdgeDiscovered",
        Reason.SERVICE_NOT_FOUND,
        [memory, pod_body(labels={"app": "edge"})],
        {},
        ["trust follows the pods with the labels app=edge in namespace traefik", "routes stay"],
    ),
    (
        "EdgeDiscovered",
        Reason.NO_SELECTOR,
        [no_selector],
        {},
        ["Service traefik/traefik", "`spec.edge.podSelector`", "name"],
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
        {"edge": {"proxyProtocol": {"field": "ServersTransport"}}},
        ["Traefik 3.4.1", "`spec.edge.proxyProtocol.field: ServersTransport`", "Upgrade Traefik"],
    ),
    ("EntryPointsReady", Reason.FOUND, GOOD, {}, ["smtp mail-smtp", "imaps mail-imaps"]),
    (
        "EntryPointsReady",
        Reason.NOT_APPLICABLE,
        GOOD,
        {"edge": {"type": "Generic", "serviceName": "traefik"}},
        ["Generic"],
    ),
    ("EntryPointsReady", Reason.PENDING, [], {}, ["Waits for the edge"]),
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
    ("TrustReady", Reason.UP_TO_DATE, GOOD, {}, ["1 address trusted"]),
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
        ["node node-1", "`spec.podCIDRs`", "`spec.trust.from`"],
    ),
    (
        "TrustReady",
        Reason.TOO_MANY_ADDRESSES,
        [service_body(), *many_pods],
        {},
        ["2001", "`spec.trust.networks`", "Run fewer"],
    ),
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
            "start",
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
    ("Ready", Reason.READY, GOOD, {}, ["edge, entryPoints, routes, trust and mail server"]),
]
# Reasons that come from outside the plan: from applying, or with a status that is held.
FROM_ELSEWHERE = {
    *(Reason.INVALID, Reason.SUSPENDED, Reason.UNOBSERVABLE),
    *(Reason.CRD_MISSING, Reason.CRD_OUTDATED, Reason.NOT_OWNED, Reason.REFUSED),
    *(Reason.WIRING_NOT_ALLOWED, Reason.WORKLOAD_NOT_FOUND),
}
# Theirs are in test_mail_server_ready.py, with what they come of.
TOLD_ELSEWHERE = {
    *(Reason.RESTART_PENDING, Reason.RELOAD_PENDING, Reason.POKE_NOT_ALLOWED),
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
    assert {reason for _, reason, *_ in CASES} | FROM_ELSEWHERE | TOLD_ELSEWHERE == set(Reason)


def test_missing_crd_is_told_with_the_number_of_routes_that_wait() -> None:
    proxy = mail_proxy()
    seen = observe(proxy, GOOD)
    world = World(**{**vars(seen), "missing_kinds": frozenset({"IngressRouteTCP"})})
    plan = build_plan(proxy, world)
    found = condition(judge(proxy, world), "RoutesReady")
    assert (found["status"], found["reason"]) == ("False", "CRDMissing")
    assert "install Traefik's CRDs" in found["message"]
    assert "(and 4 more)" in found["message"]
    assert not [child for child in plan.children if child["kind"] == "IngressRouteTCP"]
    assert plan.find_stale(world.children) == []


def test_problem_of_the_trust_file_belongs_to_trust_and_is_not_counted_elsewhere() -> None:
    proxy = mail_proxy()
    world = observe(proxy, GOOD)
    problems = (
        Problem(("ConfigMap", "mail-trust"), Reason.REFUSED, "quota"),
        Problem(("Service", "mail-proxy"), Reason.NOT_OWNED, "exists already"),
    )
    status = build_status(proxy, world, build_plan(proxy, world), problems, {}, NOW)
    assert condition(status, "TrustReady")["message"] == "ConfigMap mail-trust: quota."
    assert condition(status, "RoutesReady")["message"] == "Service mail-proxy: exists already."
    assert condition(status, "Ready")["reason"] == "NotOwned"
