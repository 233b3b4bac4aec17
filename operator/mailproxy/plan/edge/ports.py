"""Which entryPoint is behind which port."""

from collections.abc import Collection, Mapping
from itertools import chain, count

from mailproxy.api.mail_services import MailService, find_services
from mailproxy.api.spec import MailProxySpec
from mailproxy.observed.pod import Pod
from mailproxy.observed.service import Service
from mailproxy.plan.edge.model import Edge, RoutedPort


def find_exposed(
    service: Service | None, pods: tuple[Pod, ...], entry_points: Mapping[str, int]
) -> dict[int, int]:
    """Public port to port of the pod: by the Service, by hostPort, by hostNetwork."""
    exposed: dict[int, int] = {}
    for pod in pods:
        ports = [port for container in pod.containers for port in container.ports]
        if pod.host_network:
            exposed.update({port: port for port in entry_points.values()})
        exposed.update({port.host_port: port.port for port in ports if port.host_port})
    for pod in pods:
        names = {p.name: p.port for container in pod.containers for p in container.ports if p.name}
        for offered in service.ports if service else ():
            target = offered.target
            number = target if isinstance(target, int) else names.get(target)
            if number is not None:
                exposed[offered.port] = number
    return exposed


def assign_ports(spec: MailProxySpec, edge: Edge) -> tuple[RoutedPort, ...]:
    """Find the entryPoint of each mail service, in the table's order.

    In this order: the one that the user named; the one behind the public port; the one called
    `mail-<name>` or `<name>`. The name `mail-<name>` is also used when nothing can be found. No
    two services get the same one, even where the edge's Service leads two public ports to one:
    the edge could not tell their connections apart.
    """
    ports = spec.ports_by_name
    services = find_services(ports)
    names = {name: port.entry_point for name, port in ports.items() if port.entry_point}
    for service in services:
        if service.name not in names:
            names[service.name] = _choose_entry_point(service, edge, names.values())
    known = edge.facts.entry_points or {}
    return tuple(
        RoutedPort(
            service=service,
            entry_point=names[service.name],
            found=None if edge.facts.entry_points is None else names[service.name] in known,
            exposed_port=_exposed_port(known.get(names[service.name]), service.port, edge),
            by_hostname=ports[service.name].by_hostname,
        )
        for service in services
    )


def _choose_entry_point(service: MailService, edge: Edge, taken: Collection[str]) -> str:
    behind = _entry_point_behind(service.port, edge)
    usual = f"mail-{service.name}"
    known = (name for name in (usual, service.name) if name in (edge.facts.entry_points or {}))
    others = (f"{usual}-{number}" for number in count(2))
    names = chain((behind,), known, (usual,), others)
    return next(name for name in names if name and name not in taken)


def _entry_point_behind(public_port: int, edge: Edge) -> str | None:
    pod_port = edge.exposed.get(public_port)
    names = (n for n, p in sorted((edge.facts.entry_points or {}).items()) if p == pod_port)
    return next(names, None)


def _exposed_port(pod_port: int | None, usual: int, edge: Edge) -> int | None:
    if (
        edge.facts.entry_points is None
    ):  # nothing tells what is behind a port, only that it is offered
        return usual if usual in edge.exposed else None
    public = sorted(p for p, target in edge.exposed.items() if target == pod_port)
    return usual if usual in public else next(iter(public), None)
