"""What Traefik's pods say of themselves: entryPoints and version, in every spelling."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from tests.unit.plan.edge.test_edge import edge_reason
from tests.unit.worlds import (
    CHART_ENTRY_POINTS,
    Body,
    container_body,
    discover,
    mail_proxy,
    pod_body,
    service_body,
)

from mailproxy.api.reasons import Reason
from mailproxy.plan.edge.model import EdgeFacts


def entry_points(*containers: Body) -> dict[str, int] | None:
    edge = discover(mail_proxy(), [service_body(), pod_body(containers=list(containers))])
    return None if edge.facts.entry_points is None else dict(edge.facts.entry_points)


def of_arguments(*args: str, env: Sequence[Body] = ()) -> dict[str, int] | None:
    return entry_points(container_body(args=args, env=env))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--entryPoints.smtp.address=:2525/tcp"],
        ["--entrypoints.smtp.address=:2525"],
        ["-entrypoints.smtp.address=:2525"],
        ["--ENTRYPOINTS.smtp.ADDRESS=:2525/TCP"],
        ["--entrypoints.smtp.address", ":2525"],
        ["-entryPoints.smtp.address", "0.0.0.0:2525/tcp"],
        ["--entrypoints.smtp.address=[::]:2525"],
        ["--entrypoints.smtp.address=[2001:db8::1]:2525/tcp"],
        ["--entrypoints.smtp.address=proxy.example.com:2525"],
        ["--entrypoints.smtp.address=:25", "--entrypoints.smtp.address=:2525"],
        ["--ping=true", "--entrypoints.smtp.address=:2525", "--entrypoints.smtp.proxyprotocol"],
    ],
)
def test_entry_point_is_found_in_every_spelling_of_its_flag(arguments: list[str]) -> None:
    assert of_arguments(*arguments) == {"smtp": 2525}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--ping=true"],
        ["--entrypoints.dns.address=:53/udp"],
        ["--entrypoints.smtp.address"],
        ["--entrypoints.smtp.address="],
        ["--entrypoints.smtp.address=2525"],
        ["--entrypoints.smtp.address=:$(PORT)"],
        ["--entrypoints.smtp.address=:²⁵"],
        ["--entrypoints.smtp.address=:25\n--x"],
        ["--entrypoints.smtp.transport.respondingtimeouts.readtimeout=60s"],
        ["--entrypoints.bad name\n.address=:2525"],
        ["---entrypoints.smtp.address=:2525"],
        ["entrypoints.smtp.address=:2525"],
        ["--hub.entrypoints.smtp.address=:2525"],
        ["--configFile=/etc/traefik.yaml"],
        ["--configfile", "/etc/traefik.yaml", "--entrypoints.smtp.address=:2525"],
        ["-configFile=/etc/traefik.yaml", "--entrypoints.smtp.address=:2525"],
    ],
)
def test_edge_whose_arguments_name_no_tcp_entry_point_is_unknown(arguments: list[str]) -> None:
    assert of_arguments(*arguments) is None


def test_udp_entry_points_are_left_out() -> None:
    arguments = ["--entrypoints.dns.address=:53/udp", "--entrypoints.smtp.address=:2525/tcp"]
    assert of_arguments(*arguments) == {"smtp": 2525}


def test_name_keeps_its_case_in_a_flag_and_loses_it_in_a_variable() -> None:
    assert of_arguments("--entryPoints.mailSMTP.address=:25") == {"mailSMTP": 25}
    variable = {"name": "TRAEFIK_ENTRYPOINTS_MAILSMTP_ADDRESS", "value": ":25"}
    assert of_arguments(env=[variable]) == {"mailsmtp": 25}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRAEFIK_ENTRYPOINTS_SMTP_ADDRESS", ":25", {"smtp": 25}),
        ("traefik_entryPoints_smtp_address", ":25/tcp", {"smtp": 25}),
        ("TRAEFIK_ENTRYPOINTS_MAIL-SMTP_ADDRESS", ":25", {"mail-smtp": 25}),
        ("TRAEFIK_ENTRYPOINTS_DNS_ADDRESS", ":53/udp", None),
        ("TRAEFIK_ENTRYPOINTS_SMTP_HTTP_TLS", "true", None),
        ("ENTRYPOINTS_SMTP_ADDRESS", ":25", None),
        ("TRAEFIK_ENTRYPOINTS_SMTP_ADDRESS", "", None),
    ],
)
def test_entry_points_are_found_in_variables(
    name: str, value: str, expected: dict[str, int] | None
) -> None:
    assert of_arguments(env=[{"name": name, "value": value}]) == expected


def test_any_flag_hides_all_variables_as_it_does_for_traefik() -> None:
    variable = {"name": "TRAEFIK_ENTRYPOINTS_IMAPS_ADDRESS", "value": ":993"}
    assert of_arguments("--entrypoints.smtp.address=:25", env=[variable]) == {"smtp": 25}
    assert of_arguments("--ping=true", env=[variable]) is None
    assert of_arguments("traefik", env=[variable]) == {"imaps": 993}


def test_flags_are_found_in_the_command_too() -> None:
    container = container_body(args=[], command=["traefik", "--entrypoints.smtp.address=:25"])
    assert entry_points(container) == {"smtp": 25}


def test_sidecars_do_not_hide_traefik() -> None:
    sidecar = container_body(image="fluent-bit:4.0", args=["--config", "/etc/f.yaml"], ports=[])
    traefik = container_body(args=["--entrypoints.smtp.address=:25"])
    assert entry_points(sidecar, traefik) == entry_points(traefik, sidecar) == {"smtp": 25}


def test_two_pods_that_disagree_give_all_entry_points_whatever_their_order() -> None:
    old = pod_body("traefik-a", args=["--entrypoints.smtp.address=:25"])
    new = pod_body(
        "traefik-b", args=["--entrypoints.smtp.address=:2525", "--entrypoints.imaps.address=:2993"]
    )
    unknown = pod_body("traefik-c", args=["--configfile=/x"])
    found = {
        tuple((discover(mail_proxy(), [service_body(), *pods]).facts.entry_points or {}).items())
        for pods in permutations([old, new, unknown])
    }
    assert found == {(("smtp", 2525), ("imaps", 2993))}


def test_finished_pods_are_not_read() -> None:
    pods = [pod_body("a", phase="Failed"), pod_body("b", phase="Succeeded", image="traefik:v3.5.2")]
    edge = discover(mail_proxy(), [service_body(), *pods])
    assert (edge.pods, edge.facts) == ((), EdgeFacts(entry_points=None, versions=()))
    assert edge_reason(mail_proxy(), [service_body(), *pods]) == Reason.NO_PROXY_PODS


@pytest.mark.parametrize(
    ("image", "label", "version"),
    [
        ("traefik:v3.7.9", "", "3.7.9"),
        ("traefik:3.7", "", "3.7"),
        ("docker.io/library/traefik:v3.5.2-windowsservercore-ltsc2022", "", "3.5.2"),
        ("traefik:v3.7.0-rc.1", "", "3.7.0"),
        ("rancher/mirrored-library-traefik:3.6.13", "", "3.6.13"),
        ("registry:5000/traefik:v3.7.9", "", "3.7.9"),
        ("traefik:v3.7.9@sha256:0123456789abcdef", "", "3.7.9"),
        ("traefik@sha256:0123456789abcdef", "", ""),
        ("traefik@sha256:0123456789abcdef", "3.7.9", "3.7.9"),
        ("traefik@sha256:0123456789abcdef", "v3.7.9", "3.7.9"),
        ("registry:5000/traefik", "3.7.9", "3.7.9"),
        ("traefik:latest", "", ""),
        ("traefik:latest", "3.7.9", "3.7.9"),
        ("traefik:v3", "", ""),
        ("traefik", "", ""),
        ("", "", ""),
        (":", "no version", ""),
        ("traefik:v3.7.9", "1.0.0", "3.7.9"),
    ],
)
def test_version_comes_from_the_tag_else_from_the_label(
    image: str, label: str, version: str
) -> None:
    labels = {"app.kubernetes.io/name": "traefik", "app.kubernetes.io/version": label}
    service = service_body(selector={"app.kubernetes.io/name": "traefik"})
    edge = discover(mail_proxy(), [service, pod_body(image=image, labels=labels)])
    assert edge.facts.versions == ((version,) if version else ())


def test_version_is_that_of_the_container_which_is_traefik() -> None:
    sidecar = container_body(image="example.com/log-shipper:v3.5.2", args=[], ports=[])
    pod = pod_body(containers=[sidecar, container_body(image="traefik:v3.7.9")])
    assert discover(mail_proxy(), [service_body(), pod]).facts.versions == ("3.7.9",)


@pytest.mark.parametrize(
    ("image", "is_broken"),
    [("traefik:v3.5.2", True), ("traefik:v3.5.1", False), ("traefik:v3.5.3", False)],
)
def test_only_the_one_broken_version_is_refused(image: str, is_broken: bool) -> None:
    reason = edge_reason(mail_proxy(), [service_body(), pod_body(image=image)])
    assert reason == (Reason.TRAEFIK_PROXY_PROTOCOL_BUG if is_broken else Reason.DISCOVERED)


def test_one_broken_pod_of_several_is_enough() -> None:
    pods = [pod_body("a", image="traefik:v3.7.9"), pod_body("b", image="traefik:v3.5.2")]
    objects = [service_body(), *pods]
    assert edge_reason(mail_proxy(), objects) == Reason.TRAEFIK_PROXY_PROTOCOL_BUG
    assert discover(mail_proxy(), objects).has_pods


def test_version_of_another_proxy_does_not_matter() -> None:
    proxy = mail_proxy(edge={"type": "Generic", "serviceName": "traefik"})
    objects = [service_body(), pod_body(image="traefik:v3.5.2")]
    assert discover(proxy, objects).facts == EdgeFacts(entry_points=None, versions=())
    assert edge_reason(proxy, objects) == Reason.DISCOVERED


def test_all_entry_points_of_the_chart_are_found() -> None:
    edge = discover(mail_proxy(), [service_body(), pod_body()])
    assert edge.facts.entry_points == CHART_ENTRY_POINTS
    assert edge.exposed == {25: 2525, 587: 2587, 465: 2465, 143: 2143, 993: 2993}


@pytest.mark.parametrize(
    ("image", "is_too_old"),
    [
        ("traefik:v3.4.5", True),
        ("traefik:v3.5.1", True),
        ("traefik:3.4", True),
        ("traefik:v2.11.3", True),
        ("traefik:3.5", False),  # any of its patches
        ("traefik:v3.5.3", False),
        ("traefik:v3.10.0", False),
        ("traefik:latest", False),  # unknown is a valid answer
    ],
)
def test_servers_transport_needs_a_traefik_that_knows_it(image: str, is_too_old: bool) -> None:
    bodies = [service_body(), pod_body(image=image)]
    proxy = mail_proxy(edge={"traefik": {"proxyProtocolField": "ServersTransport"}})
    expected = Reason.TRAEFIK_TOO_OLD if is_too_old else Reason.DISCOVERED
    assert edge_reason(proxy, bodies) == expected
    assert discover(proxy, bodies).has_pods
    assert edge_reason(mail_proxy(), bodies) == Reason.DISCOVERED
