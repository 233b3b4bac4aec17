"""What is known of an edge: its pods, and which entryPoint is behind which public port."""

from collections.abc import Sequence

import pytest
from tests.unit.worlds import (
    Body,
    condition,
    discover,
    judge,
    mail_proxy,
    observe,
    pod_body,
    remembering,
    service_body,
    service_port,
)

from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.observed.selectors import PodSet
from mailproxy.plan.edge.model import RoutedPort
from mailproxy.plan.edge.ports import assign_ports

BY_LABEL = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "traefik"}}}


def route(name: str, objects: Sequence[Body], **spec: object) -> RoutedPort:
    proxy = mail_proxy(**spec)
    ports = assign_ports(proxy.spec, discover(proxy, objects))
    return next(port for port in ports if port.service.name == name)


def edge_reason(proxy: MailProxy, objects: Sequence[Body]) -> str:
    """What the condition EdgeDiscovered says of the edge."""
    return str(condition(judge(proxy, observe(proxy, objects)), "EdgeDiscovered")["reason"])


@pytest.mark.parametrize("target", ["mail-smtp", 2525])
def test_entry_point_behind_the_public_port_is_found_by_name_and_by_number(
    target: str | int,
) -> None:
    port = route("smtp", [service_body(ports=[service_port(25, target)]), pod_body()])
    assert (port.entry_point, port.found, port.exposed_port) == ("mail-smtp", True, 25)


def test_port_without_a_target_is_its_own_target() -> None:
    service = service_body(ports=[{"port": 25}, {"port": 993, "targetPort": None}])
    arguments = ["--entrypoints.a.address=:25", "--entrypoints.b.address=:993"]
    objects = [service, pod_body(args=arguments)]
    assert route("smtp", objects).entry_point == "a"
    assert route("imaps", objects).entry_point == "b"


def test_named_target_that_no_container_has_leads_nowhere() -> None:
    port = route("smtp", [service_body(ports=[service_port(25, "gone")]), pod_body()])
    assert (port.entry_point, port.found, port.exposed_port) == ("mail-smtp", True, None)


def test_udp_port_of_the_service_offers_no_mail() -> None:
    port = route("smtp", [service_body(ports=[service_port(25, 2525, "UDP")]), pod_body()])
    assert port.exposed_port is None


def test_entry_point_is_found_behind_a_host_port() -> None:
    pod = pod_body(
        args=["--entrypoints.x.address=:2525"], ports=[{"containerPort": 2525, "hostPort": 25}]
    )
    port = route("smtp", [pod], edge=BY_LABEL)
    assert (port.entry_point, port.found, port.exposed_port) == ("x", True, 25)


def test_entry_point_is_found_on_the_hosts_network() -> None:
    pod = pod_body(args=["--entrypoints.x.address=:25"], ports=[], host_network=True)
    port = route("smtp", [pod], edge=BY_LABEL)
    assert (port.entry_point, port.found, port.exposed_port) == ("x", True, 25)


def test_service_wins_over_a_host_port() -> None:
    arguments = ["--entrypoints.a.address=:1025", "--entrypoints.b.address=:1026"]
    pod = pod_body(args=arguments, ports=[{"containerPort": 1025, "hostPort": 25}])
    assert route("smtp", [service_body(ports=[service_port(25, 1026)]), pod]).entry_point == "b"


def test_entry_point_that_the_user_named_wins_even_if_it_is_missing() -> None:
    ports = [{"name": "smtp", "entryPoint": "mine"}]
    port = route("smtp", [service_body(), pod_body()], ports=ports)
    assert (port.entry_point, port.found, port.exposed_port) == ("mine", False, None)


@pytest.mark.parametrize("name", ["mail-smtp", "smtp"])
def test_entry_point_of_the_usual_name_is_found_though_nothing_publishes_it(name: str) -> None:
    pod = pod_body(args=[f"--entrypoints.{name}.address=:2525"])
    port = route("smtp", [service_body(ports=[]), pod])
    assert (port.entry_point, port.found, port.exposed_port) == (name, True, None)


def test_public_port_other_than_the_usual_is_reported() -> None:
    port = route("smtp", [service_body(ports=[service_port(2500, "mail-smtp")]), pod_body()])
    assert (port.entry_point, port.exposed_port) == ("mail-smtp", 2500)


def test_unknown_edge_is_assumed_to_have_the_usual_names() -> None:
    pod = pod_body(args=["--configfile=/etc/traefik.yaml"])
    port = route("smtp", [service_body(), pod])
    assert (port.entry_point, port.found, port.exposed_port) == ("mail-smtp", None, 25)


def test_public_ports_of_a_generic_edge_are_known_too() -> None:
    edge = {"type": "Generic", "serviceName": "traefik"}
    assert route("smtp", [service_body(), pod_body(args=[])], edge=edge).exposed_port == 25


def test_two_services_never_share_an_entry_point_though_the_edge_leads_both_to_one() -> None:
    service = service_body(ports=[service_port(25, 2525), service_port(587, 2525)])
    pod = pod_body(args=["--entrypoints.x.address=:2525"])
    assert route("smtp", [service, pod]).entry_point == "x"
    submission = route("submission", [service, pod])
    assert (submission.entry_point, submission.found) == ("mail-submission", False)


def test_service_does_not_take_what_the_user_named_for_another() -> None:
    ports = [{"name": "smtp"}, {"name": "imap", "entryPoint": "mail-smtp"}]
    objects = [service_body(), pod_body()]
    assert route("imap", objects, ports=ports).entry_point == "mail-smtp"
    smtp = route("smtp", objects, ports=ports)
    assert (smtp.entry_point, smtp.found) == ("mail-smtp-2", False)


def test_pods_of_the_service_are_the_edge() -> None:
    stranger = pod_body("stranger", labels={"app": "other"})
    elsewhere = pod_body("elsewhere", namespace="default")
    edge = discover(mail_proxy(), [service_body(), pod_body(), stranger, elsewhere])
    assert [pod.name for pod in edge.pods] == ["traefik-0"]


def test_pod_selector_wins_over_the_service() -> None:
    edge = {"podSelector": {"matchLabels": {"app": "other"}}, "serviceName": "traefik"}
    objects = [service_body(), pod_body(), pod_body("chosen", labels={"app": "other"})]
    assert [pod.name for pod in discover(mail_proxy(edge=edge), objects).pods] == ["chosen"]


@pytest.mark.parametrize(
    ("objects", "edge", "reason", "has_pods"),
    [
        ([], {}, Reason.SERVICE_NOT_FOUND, False),
        ([pod_body()], {}, Reason.SERVICE_NOT_FOUND, False),
        ([pod_body()], BY_LABEL | {"serviceName": "x"}, Reason.SERVICE_NOT_FOUND, False),
        ([service_body(selector={"a": "b"}), pod_body()], {}, Reason.NO_PROXY_PODS, False),
        ([], BY_LABEL, Reason.NO_PROXY_PODS, False),
        ([pod_body()], BY_LABEL, Reason.DISCOVERED, True),
        ([service_body(), pod_body()], {}, Reason.DISCOVERED, True),
        (
            [service_body(), pod_body(ips=(), phase="Pending", node="")],
            {},
            Reason.DISCOVERED,
            True,
        ),
    ],
)
def test_edge_that_cannot_serve_says_why(
    objects: list[Body], edge: dict[str, object], reason: Reason, has_pods: bool
) -> None:
    proxy = mail_proxy(edge=edge)
    assert edge_reason(proxy, objects) == reason
    assert discover(proxy, objects).has_pods is has_pods


def test_service_without_selector_is_reported() -> None:
    service = service_body()
    service["spec"]["selector"] = None
    edge = discover(mail_proxy(), [service, pod_body()])
    assert (edge.is_located, edge.pods) == (False, ())
    assert edge_reason(mail_proxy(), [service, pod_body()]) == Reason.NO_SELECTOR


def test_service_without_selector_does_not_matter_to_an_edge_that_has_labels() -> None:
    service = service_body()
    service["spec"]["selector"] = None
    proxy = mail_proxy(edge=BY_LABEL | {"serviceName": "traefik"})
    assert edge_reason(proxy, [service, pod_body()]) == Reason.DISCOVERED


def test_edge_whose_service_is_gone_keeps_the_pods_known_last() -> None:
    proxy = mail_proxy()
    memory = '{"namespace":"traefik","labels":{"app.kubernetes.io/name":"traefik"}}'
    objects = [remembering(proxy, memory), pod_body()]
    edge = discover(proxy, objects)
    assert edge.pod_set == PodSet("traefik", (("app.kubernetes.io/name", "traefik"),))
    assert [pod.name for pod in edge.pods] == ["traefik-0"]
    assert (edge.is_located, edge.has_pods) == (False, False)
    assert edge_reason(proxy, objects) == Reason.SERVICE_NOT_FOUND


def test_service_that_is_there_wins_over_what_is_remembered() -> None:
    proxy = mail_proxy()
    memory = remembering(proxy, '{"namespace":"x","labels":{"a":"b"}}')
    edge = discover(proxy, [memory, service_body(), pod_body()])
    assert [pod.name for pod in edge.pods] == ["traefik-0"]


@pytest.mark.parametrize("annotation", ["", "[", '{"namespace":"","labels":{"a":"b"}}'])
def test_edited_annotation_makes_nobody_trusted(annotation: str) -> None:
    proxy = mail_proxy()
    world = observe(proxy, [remembering(proxy, annotation), pod_body(labels={"a": "b"})])
    assert (world.pod_set, world.pods) == (None, ())
    status = judge(proxy, world)
    assert status["trustedNetworks"] == []
    assert condition(status, "TrustReady")["status"] == "False"
