"""The values for Traefik's Helm chart that a message suggests: whoever follows it is helped."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.random_worlds import entry_point_names
from tests.unit.worlds import (
    Body,
    condition,
    endpoints_body,
    judge,
    mail_proxy,
    observe,
    pod_body,
    service_body,
    service_port,
)

from mailproxy.api.mail_services import MAIL_SERVICES, PortName

GOOD = [service_body(), pod_body(), endpoints_body()]
EMPTY = [service_body(ports=[]), pod_body(args=["--entrypoints.web.address=:80"], ports=[])]
ALL_PORTS = [{"name": str(name)} for name in PortName]
PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")


def suggested_values(objects: list[Body], **spec: Any) -> dict[str, Any]:
    """What the message tells to add to the values of Traefik's Helm chart, parsed."""
    proxy = mail_proxy(**spec)
    message = condition(judge(proxy, observe(proxy, objects)), "EntryPointsReady")["message"]
    match = re.search(r"values: (ports: \{.*\});", message)
    assert match, message
    values: dict[str, Any] = yaml.safe_load(match[1])
    return values


def chart(values: dict[str, Any]) -> list[Body]:
    """Service and pod that Traefik's chart makes of these values, for what matters here.

    Source: traefik-helm-chart, `traefik.portname`: lower case, cut to 15 characters.
    """
    entries = {name: entry for name, entry in values["ports"].items() if entry["expose"]["default"]}
    names = {name: name.lower()[:15].rstrip("-") for name in entries}
    assert len(set(names.values())) == len(names), "the API server refuses a port name twice"
    assert all(PORT_NAME.fullmatch(name) for name in names.values())
    service = service_body(
        ports=[service_port(entry["exposedPort"], names[name]) for name, entry in entries.items()]
    )
    arguments = [f"--entryPoints.{name}.address=:{e['port']}/tcp" for name, e in entries.items()]
    ports = [{"name": names[name], "containerPort": e["port"]} for name, e in entries.items()]
    return [service, pod_body(args=arguments, ports=ports), endpoints_body()]


@pytest.mark.parametrize("ports", [ALL_PORTS, ALL_PORTS[1:3], [ALL_PORTS[2]]])
def test_suggested_values_are_what_the_chart_needs(ports: list[Body]) -> None:
    values = suggested_values(EMPTY, ports=ports)
    proxy = mail_proxy(ports=ports)
    status = judge(proxy, observe(proxy, chart(values)))
    assert condition(status, "EntryPointsReady")["reason"] == "Found"
    assert condition(status, "Ready")["status"] == "True"
    usual = {str(service.name): service.port for service in MAIL_SERVICES}
    assert {p["name"]: p["exposedPort"] for p in status["ports"]} == {
        port["name"]: usual[port["name"]] for port in ports
    }


def test_suggested_values_help_an_edge_that_is_found_by_its_labels_too() -> None:
    edge = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "traefik"}}}
    _, pod, endpoints = chart(suggested_values(EMPTY, edge=edge))
    proxy = mail_proxy(edge=edge)
    status = judge(proxy, observe(proxy, [pod, endpoints]))
    assert condition(status, "EntryPointsReady")["reason"] == "Found"


def test_suggested_ports_are_free_of_those_that_the_chart_uses_itself() -> None:
    ports = {entry["port"] for entry in suggested_values(EMPTY, ports=ALL_PORTS)["ports"].values()}
    assert len(ports) == 8
    assert min(ports) > 1024  # the chart's pod may not bind lower ones
    assert not ports & {8000, 8080, 8443, 9100}
    assert not ports & {service.proxy_port for service in MAIL_SERVICES}


@settings(max_examples=25)
@given(name=entry_point_names | st.sampled_from(["on", "null", "0x19", "1e3", "2001-01-01", "12"]))
def test_suggested_values_keep_the_name_that_the_user_chose(name: str) -> None:
    ports = [{"name": "smtp", "entryPoint": name}]
    pod = pod_body(args=["--entrypoints.not-that-one.address=:80"])
    values = suggested_values([service_body(ports=[]), pod], ports=ports)
    assert list(values["ports"]) == [name]


def test_only_missing_ports_are_suggested() -> None:
    assert list(suggested_values(GOOD, ports=ALL_PORTS)["ports"]) == [
        "pop3",
        "pop3s",
        "sieve",
    ]
