"""Run by test_experiments.py against a package with an adapter of the type Lab."""

from dataclasses import replace
from typing import Any

from tests.unit.worlds import (
    Body,
    condition,
    endpoints_body,
    judge,
    mail_proxy,
    mail_proxy_body,
    observe,
    pod_body,
    remembering,
    service_body,
)

from mailproxy.api.crd import build_crd
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.status import MailProxyStatus
from mailproxy.observed.selectors import Selection
from mailproxy.plan.build import build_plan
from mailproxy.plan.edge.registry import PROJECTIONS, find_adapter
from mailproxy.plan.model import CHILD_KINDS

EDGE = {"type": "Lab", "serviceName": "traefik"}
PORTS = [{"name": "smtp"}, {"name": "imap", "entryPoint": "mail-imap"}]


def gateway(**listeners: int) -> Body:
    return {
        "apiVersion": "lab.example.com/v1",
        "kind": "LabGateway",
        "metadata": {"name": "lab", "namespace": "traefik"},
        "spec": {"listeners": [{"name": n, "port": p} for n, p in listeners.items()]},
    }


GATEWAY = gateway(**{"mail-smtp": 2525, "mail-imap": 2143})
GOOD = [service_body(), pod_body(args=[]), GATEWAY, endpoints_body()]


def lab(name: str = "mail", **content: Any) -> MailProxy:
    return mail_proxy(name, edge=EDGE, ports=PORTS, **content)


def test_schema_admits_it() -> None:
    schema = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    type_ = schema["spec"]["properties"]["edge"]["properties"]["type"]
    assert type_["enum"] == ["Traefik", "Generic", "Lab"]
    assert "an edge of this experiment" in type_["description"]


def test_it_reads_its_own_objects_and_is_watched_with_them() -> None:
    (selection,) = find_adapter("Lab").select(lab().spec.edge)
    assert selection == Selection(selection.resource, "traefik")
    assert selection.resource in PROJECTIONS
    assert {"LabPolicy", "LabRoute"} <= CHILD_KINDS.keys()


def test_routes_come_after_what_they_need_and_go_before_it() -> None:
    proxy = lab()
    plan = build_plan(proxy, observe(proxy, GOOD))
    kinds = [child["kind"] for child in plan.children]
    assert kinds[-3:] == ["LabPolicy", "LabRoute", "LabRoute"]
    left = [
        remembering(proxy, "") | {"apiVersion": "lab.example.com/v1", "kind": kind}
        for kind in ("LabPolicy", "LabRoute")
    ]
    other = mail_proxy(edge={"type": "Generic", "serviceName": "traefik"}, ports=[{"name": "smtp"}])
    world = observe(other, [*GOOD, *left])
    stale = build_plan(other, world).find_stale(world.children)
    assert [child.kind for child in stale] == ["LabRoute", "LabPolicy"]


def test_status_tells_listeners_routes_and_version() -> None:
    proxy = lab()
    status = judge(proxy, observe(proxy, GOOD))
    MailProxyStatus.model_validate(status)
    assert status["edgeVersion"] == "1.0"
    assert [port["route"] for port in status["ports"]] == ["mail-smtp", "mail-imap"]
    assert condition(status, "EntryPointsReady")["message"] == "All listeners exist."
    assert condition(status, "RoutesReady")["status"] == "True"


def test_missing_listener_and_missing_kind_are_said_in_its_words() -> None:
    proxy = lab()
    objects = [service_body(), pod_body(args=[]), gateway(other=1), endpoints_body()]
    status = judge(proxy, observe(proxy, objects))
    assert condition(status, "EntryPointsReady")["reason"] == "EntryPointMissing"
    world = replace(observe(proxy, GOOD), missing_kinds=frozenset({"LabRoute"}))
    assert "install the Lab" in condition(judge(proxy, world), "RoutesReady")["message"]


def test_two_cannot_have_one_listener() -> None:
    older = mail_proxy_body(
        "older", "there", uid="u", created="2026-01-01T00:00:00Z", edge=EDGE, ports=PORTS
    )
    proxy = lab()
    status = judge(proxy, observe(proxy, [older, *GOOD]))
    found = condition(status, "Accepted")
    assert (found["reason"], "listener mail-smtp" in found["message"]) == ("Conflict", True)
