"""The edge as it is: its pods, its Traefik version, and which entryPoint is behind which port."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count, starmap

from mailproxy.api.edge import EdgeSpec, EdgeType, ProxyProtocolField
from mailproxy.api.names import LABEL_KEY, LABEL_VALUE, NAMESPACE
from mailproxy.api.spec import MailProxySpec
from mailproxy.api.status import Reason
from mailproxy.plan.observed import Container, Pod, PodSet, Service, sorted_labels
from mailproxy.plan.ports import MailService, find_services

# Flags take one or two dashes, in any case; the name keeps its case there, while that of a
# variable arrives in lower case (Traefik's flag and environment parsers).
_FLAG = re.compile(
    r"--?entrypoints\.(?P<name>[a-z0-9_-]{1,255})\.address(=(?P<value>.*))?", re.IGNORECASE
)
_VARIABLE = re.compile(r"TRAEFIK_ENTRYPOINTS_(?P<name>[a-z0-9-]{1,255})_ADDRESS", re.IGNORECASE)
_CONFIG_FILE = re.compile(r"--?configfile(=.*)?", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r".*:(?P<port>[0-9]{1,5})(/tcp)?", re.IGNORECASE)
_TAG = re.compile(r"v?(?P<version>[0-9]+(\.[0-9]+){1,2})([-+].*)?")

BROKEN_VERSION = "3.5.2"  # sends its own addresses in the header (Traefik issue 12055)
FIRST_WITH_TRANSPORT = (3, 5, 3)  # older ones ignore `proxyProtocol` of a ServersTransportTCP


_PROBLEMS_OF_VERSIONS = (None, Reason.TRAEFIK_PROXY_PROTOCOL_BUG, Reason.TRAEFIK_TOO_OLD)


@dataclass(frozen=True)
class Edge:
    """What is known of an edge.

    `pod_set` tells which pods belong to it; None when nothing tells. `entry_points` maps
    names to TCP ports of the pod and is None when the configuration cannot be read.
    `exposed` maps public ports to ports of the pod. `problem` is why it cannot serve as it is.
    """

    pod_set: PodSet | None
    pods: tuple[Pod, ...]
    entry_points: Mapping[str, int] | None
    exposed: Mapping[int, int]
    versions: tuple[str, ...]
    problem: Reason | None = None

    @property
    def has_pods(self) -> bool:
        """Whether entryPoints and routes can be judged at all."""
        return self.problem in _PROBLEMS_OF_VERSIONS


@dataclass(frozen=True)
class RoutedPort:
    """One mail service and the entryPoint that serves it.

    `found` is None when the edge's configuration cannot be read. `exposed_port` is the port that
    clients use, None when the edge offers none.
    """

    service: MailService
    entry_point: str
    found: bool | None
    exposed_port: int | None
    by_hostname: bool


def find_pod_set(
    spec: EdgeSpec, service: Service | None, remembered: PodSet | None
) -> PodSet | None:
    """Pods of the edge, by its own selector, else its Service's, else as it was known last.

    An edge whose Service is gone or misspelt keeps its pods, so that trust goes on following
    them: what worked before goes on working, and never on addresses of pods that are gone.
    """
    if spec.pod_selector is not None:
        return PodSet(spec.namespace, sorted_labels(spec.pod_selector.match_labels))
    if service is not None and service.selector:
        return PodSet(spec.namespace, service.selector)
    return remembered


def discover_edge(
    spec: EdgeSpec, service: Service | None, pod_set: PodSet | None, pods: Iterable[Pod]
) -> Edge:
    """Judge what was observed; `pods` are those of `pod_set`, finished ones included."""
    live = tuple(sorted({pod for pod in pods if pod.is_live}, key=lambda pod: pod.name))
    entry_points: dict[str, int] = {}
    versions: set[str] = set()
    if spec.type == EdgeType.TRAEFIK:
        for pod in live:
            entry_points.update(find_entry_points(pod.containers))
            versions.add(find_version(pod))
    versions.discard("")
    return Edge(
        pod_set=pod_set,
        pods=live,
        entry_points=entry_points or None,
        exposed=_find_exposed(service, live, entry_points),
        versions=tuple(sorted(versions)),
        problem=_find_problem(spec, service, live, versions),
    )


def _find_problem(
    spec: EdgeSpec, service: Service | None, live: tuple[Pod, ...], versions: set[str]
) -> Reason | None:
    if spec.resolved_service_name is not None and service is None:
        return Reason.SERVICE_NOT_FOUND
    if spec.pod_selector is None and service is not None and not service.selector:
        return Reason.NO_SELECTOR
    if not live:
        return Reason.NO_PROXY_PODS
    if BROKEN_VERSION in versions:
        return Reason.TRAEFIK_PROXY_PROTOCOL_BUG
    wants_transport = spec.proxy_protocol.field == ProxyProtocolField.SERVERS_TRANSPORT
    if wants_transport and any(map(_lacks_transport, versions)):
        return Reason.TRAEFIK_TOO_OLD
    return None


def _lacks_transport(version: str) -> bool:
    """Whether a version is too old for sure: `3.5` may be any of its patches."""
    parts = tuple(map(int, version.split(".")))
    return parts < FIRST_WITH_TRANSPORT[: len(parts)]


def find_entry_points(containers: Iterable[Container]) -> dict[str, int]:
    """TCP entryPoints by name, from arguments or environment."""
    found: dict[str, int] = {}
    for container in containers:
        for name, address in _address_settings(container):
            if match := _ADDRESS.fullmatch(address.strip()):
                found[name] = int(match["port"])
    return found


def _address_settings(container: Container) -> Iterable[tuple[str, str]]:
    """EntryPoints and their addresses from the one source that Traefik reads.

    A file that a flag names hides all flags, and any flag hides all variables (Traefik, "Static
    configuration": the three are mutually exclusive).
    """
    arguments = container.arguments
    if any(_CONFIG_FILE.fullmatch(argument) for argument in arguments):
        return
    for argument, following in zip(arguments, (*arguments[1:], ""), strict=False):
        if match := _FLAG.fullmatch(argument):
            yield match["name"], following if match["value"] is None else match["value"]
    if any(argument.startswith("-") for argument in arguments):
        return
    for variable, value in container.environment:
        if match := _VARIABLE.fullmatch(variable):
            yield match["name"].lower(), value


def find_version(pod: Pod) -> str:
    """Traefik's version as `3.7.9`, from the image's tag or the pod's version label; or empty."""
    for container in pod.containers:
        repository, _, tag = container.image.split("@")[0].rpartition(":")
        is_traefik = repository.rsplit("/", 1)[-1] == "traefik"
        if is_traefik or find_entry_points([container]):
            if match := _TAG.fullmatch(tag):
                return match["version"]
            break
    match = _TAG.fullmatch(pod.version_label)
    return match["version"] if match else ""


def _find_exposed(
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


def route_ports(spec: MailProxySpec, edge: Edge) -> tuple[RoutedPort, ...]:
    """Find the entryPoint of each mail service, in the table's order.

    In this order: the one that the user named; the one behind the public port; the one called
    `mail-<name>` or `<name>`. The name `mail-<name>` is also used when nothing can be found. No
    two services get the same one, even where the edge's Service leads two public ports to one:
    Traefik could not tell their connections apart.
    """
    ports = spec.ports_by_name
    services = find_services(ports)
    names = {name: port.entry_point for name, port in ports.items() if port.entry_point}
    for service in services:
        if service.name not in names:
            names[service.name] = _choose_entry_point(service, edge, names.values())
    known = edge.entry_points or {}
    return tuple(
        RoutedPort(
            service=service,
            entry_point=names[service.name],
            found=None if edge.entry_points is None else names[service.name] in known,
            exposed_port=_exposed_port(known.get(names[service.name]), service.port, edge),
            by_hostname=ports[service.name].by_hostname,
        )
        for service in services
    )


def _choose_entry_point(service: MailService, edge: Edge, taken: Collection[str]) -> str:
    behind = _entry_point_behind(service.port, edge)
    usual = f"mail-{service.name}"
    known = (name for name in (usual, service.name) if name in (edge.entry_points or {}))
    others = (f"{usual}-{number}" for number in count(2))
    names = chain((behind,), known, (usual,), others)
    return next(name for name in names if name and name not in taken)


def _entry_point_behind(public_port: int, edge: Edge) -> str | None:
    pod_port = edge.exposed.get(public_port)
    names = (n for n, p in sorted((edge.entry_points or {}).items()) if p == pod_port)
    return next(names, None)


def _exposed_port(pod_port: int | None, usual: int, edge: Edge) -> int | None:
    if edge.entry_points is None:  # nothing tells what is behind a port, only that it is offered
        return usual if usual in edge.exposed else None
    public = sorted(p for p, target in edge.exposed.items() if target == pod_port)
    return usual if usual in public else next(iter(public), None)


def dump_pod_set(pod_set: PodSet | None) -> str:
    """Text for the annotation that remembers the edge's pods."""
    if pod_set is None:
        return ""
    content = {"namespace": pod_set.namespace, "labels": dict(pod_set.labels)}
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def load_pod_set(text: str) -> PodSet | None:
    """Read `dump_pod_set`'s text; None for anything else, as somebody may have edited it.

    What is read goes into label selectors and a NetworkPolicy, so it must be what Kubernetes
    itself would take: no other text may come out as another, wider selection.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match content:
        case {"namespace": str(namespace), "labels": dict(labels)}:
            is_selection = bool(labels) and all(starmap(_is_label, labels.items()))
            if is_selection and NAMESPACE.fullmatch(namespace):
                return PodSet(namespace, sorted_labels(labels))
    return None


def _is_label(key: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    return bool(LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value))
