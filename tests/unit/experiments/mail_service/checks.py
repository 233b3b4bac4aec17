"""Run by test_experiments.py against a package whose table has a ninth row."""

from typing import Any

import pytest
from tests.unit.worlds import (
    container_body,
    endpoints_body,
    judge,
    mail_proxy,
    observe,
    pod_body,
    service_body,
    service_port,
)

from mailproxy.api.crd import build_crd
from mailproxy.api.mail_services import MAIL_SERVICES, PortName
from mailproxy.api.status import MailProxyStatus
from mailproxy.plan.build import build_plan

NINE = [{"name": str(name)} for name in PortName]
ARGUMENTS = ["--entryPoints.mail-submission-alt.address=:9525/tcp"]


def plan_children(**spec: Any) -> dict[tuple[str, str], Any]:
    proxy = mail_proxy(ports=NINE, **spec)
    plan = build_plan(proxy, observe(proxy, [service_body(), pod_body()]))
    return {(child["kind"], child["metadata"]["name"]): child for child in plan.children}


def test_schema_admits_it_everywhere() -> None:
    schema = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    ports = schema["spec"]["properties"]["ports"]
    assert "submission-alt" in ports["items"]["properties"]["name"]["enum"]
    assert "`submission-alt` (2525)" in ports["items"]["properties"]["name"]["description"]
    assert ports["maxItems"] == schema["status"]["properties"]["ports"]["maxItems"] == 9
    assert "12526" in schema["spec"]["properties"]["listeners"]["description"]


def test_it_is_routed_guarded_and_served() -> None:
    children = plan_children()
    assert ("IngressRouteTCP", "mail-submission-alt") in children
    ports = children["Service", "mail-proxy"]["spec"]["ports"]
    assert {"suba-proxy"} <= {port["name"] for port in ports}
    (admitting, _) = children["NetworkPolicy", "mail-proxy-ports"]["spec"]["ingress"]
    assert 12526 in {port["port"] for port in admitting["ports"]}


@pytest.mark.parametrize("listeners", ["Separate", "Shared"])
def test_mail_server_gets_a_copy_of_submission_on_its_port(listeners: str) -> None:
    files = plan_children(listeners=listeners)["ConfigMap", "mail-overrides"]["data"]
    script = files["user-patches.sh"]
    assert "add_smtpd submission 12526" in script
    assert "submission-alt" not in files.get("postfix-master.cf", "")
    if listeners == "Separate":
        assert ",12526" in script.split("OPTIONS=")[1].splitlines()[0]


def test_status_of_nine_ports_is_valid() -> None:
    proxy = mail_proxy(ports=NINE)
    edge = [
        service_body(ports=[service_port(2525, 9525)]),
        pod_body(containers=[container_body(args=ARGUMENTS, ports=[])]),
    ]
    status = judge(proxy, observe(proxy, [*edge, endpoints_body()]))
    MailProxyStatus.model_validate(status)
    found = {port["name"]: port for port in status["ports"]}
    assert len(found) == len(MAIL_SERVICES) == 9
    assert found["submission-alt"]["entryPoint"] == "mail-submission-alt"
    assert found["submission-alt"]["exposedPort"] == 2525
    assert found["submission-alt"]["targetPort"] == 12526
