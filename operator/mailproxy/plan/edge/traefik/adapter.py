"""Traefik as an edge."""

from collections.abc import Iterable, Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.edge import EdgeSpec, ProxyProtocolField, TraefikSpec
from mailproxy.api.finding import Finding
from mailproxy.api.mail_services import MailService
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import MailProxySpec
from mailproxy.identity import ObjectRef
from mailproxy.observed.pod import Pod
from mailproxy.observed.world import World
from mailproxy.plan.edge.adapter import EdgeAdapter
from mailproxy.plan.edge.model import ANY_HOST, Claim, Edge, EdgeFacts, RoutedPort
from mailproxy.plan.edge.traefik.entry_points import inspect_entry_points
from mailproxy.plan.edge.traefik.routes import (
    INGRESS_ROUTES,
    SERVERS_TRANSPORTS,
    build_route,
    build_servers_transport,
)
from mailproxy.plan.edge.traefik.static_config import read_entry_points
from mailproxy.plan.edge.traefik.version import BROKEN_VERSION, find_version, lacks_transport
from mailproxy.plan.metadata import Manifest, route_name


class TraefikAdapter(EdgeAdapter):
    """An edge of Traefik's pods, routed by IngressRouteTCP."""

    type = "Traefik"
    route_kinds = (SERVERS_TRANSPORTS, INGRESS_ROUTES)

    def read(self, spec: EdgeSpec, world: World, pods: tuple[Pod, ...]) -> EdgeFacts:
        found: dict[str, int] = {}
        for pod in pods:
            found.update({n: e.port for n, e in read_entry_points(pod.containers).items()})
        versions = {find_version(pod) for pod in pods} - {""}
        return EdgeFacts(found or None, tuple(sorted(versions)))

    def find_claims(self, spec: MailProxySpec, ports: tuple[RoutedPort, ...]) -> tuple[Claim, ...]:
        claims: list[Claim] = []
        for port in ports:
            host = spec.hostname if port.by_hostname else ANY_HOST
            claims.append(Claim("entryPoint", port.entry_point, host))
            if not spec.ports_by_name[port.service.name].entry_point:
                claims.append(Claim("port", str(port.service.port), host))
        return tuple(claims)

    def find_route(self, proxy: MailProxy, service: MailService) -> ObjectRef:
        return ObjectRef(INGRESS_ROUTES.kind, route_name(proxy, service))

    def build_routes(self, proxy: MailProxy, ports: tuple[RoutedPort, ...]) -> list[Manifest]:
        routes = [build_route(proxy, port) for port in ports]
        settings = proxy.spec.edge.fields(TraefikSpec)
        if settings.proxy_protocol_field == ProxyProtocolField.SERVERS_TRANSPORT:
            return [build_servers_transport(proxy), *routes]
        return routes

    def find_probe_port(self, pod: Pod, entry_points: Iterable[str]) -> int | None:
        # Pods of an edge that is rolled out may differ in their entryPoints.
        offered = read_entry_points(pod.containers)
        ports = (offered[name] for name in entry_points if name in offered)
        return next((port.port for port in ports if not port.expects_header), None)

    def inspect_edge(self, spec: EdgeSpec, edge: Edge) -> Iterator[Finding]:
        versions = ", ".join(edge.facts.versions)
        if BROKEN_VERSION in edge.facts.versions:
            yield Finding(
                ConditionType.EDGE_DISCOVERED,
                Reason.TRAEFIK_PROXY_PROTOCOL_BUG,
                f"Traefik {BROKEN_VERSION} sends its own address instead of the client's in the"
                f" PROXY header, and the proxy pods run {versions}. Upgrade Traefik to 3.5.3 or"
                " newer.",
            )
        settings = spec.fields(TraefikSpec)
        wants_transport = settings.proxy_protocol_field == ProxyProtocolField.SERVERS_TRANSPORT
        if wants_transport and any(map(lacks_transport, edge.facts.versions)):
            yield Finding(
                ConditionType.EDGE_DISCOVERED,
                Reason.TRAEFIK_TOO_OLD,
                f"The proxy pods run Traefik {versions}, and before 3.5.3 it sends no PROXY header"
                " for `spec.edge.traefik.proxyProtocolField: ServersTransport`. Upgrade Traefik,"
                " or set the field to `Service`.",
            )

    def inspect_ports(
        self, spec: MailProxySpec, edge: Edge, ports: tuple[RoutedPort, ...]
    ) -> Iterator[Finding]:
        yield inspect_entry_points(spec, edge, ports)

    def explain_missing_kind(self, kind: str) -> str:
        return "install Traefik's CRDs, for example with its Helm chart"

    def explain_missing_field(self, kind: str, field: str) -> str:
        return (
            "upgrade Traefik's CRDs to those of Traefik 3.5.3 or newer (Helm never does that by"
            " itself)"
        )
