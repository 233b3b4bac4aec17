"""An edge that no vendor has: listeners stand in an object of its own, and routes need a policy."""

from collections.abc import Iterator
from typing import Any

from mailproxy.api.conditions import ConditionType
from mailproxy.api.edge import EdgeSpec
from mailproxy.api.finding import Finding
from mailproxy.api.mail_services import MailService
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import MailProxySpec
from mailproxy.identity import ObjectRef, Resource
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import Selection
from mailproxy.observed.world import World
from mailproxy.plan.edge.adapter import EdgeAdapter
from mailproxy.plan.edge.model import Claim, Edge, EdgeFacts, RoutedPort
from mailproxy.plan.metadata import Manifest, build_child, route_name, service_name

GATEWAYS = Resource("lab.example.com", "v1", "gateways", "LabGateway")
POLICIES = Resource("lab.example.com", "v1", "policies", "LabPolicy")
ROUTES = Resource("lab.example.com", "v1", "routes", "LabRoute")


def read_gateway(body: dict[str, Any]) -> dict[str, int]:
    """Ports of the listeners by their names."""
    return {listener["name"]: listener["port"] for listener in body["spec"]["listeners"]}


class LabAdapter(EdgeAdapter):
    type = "Lab"
    route_kinds = (POLICIES, ROUTES)
    projections = {GATEWAYS: read_gateway}

    def select(self, spec: EdgeSpec) -> tuple[Selection, ...]:
        return (Selection(GATEWAYS, spec.namespace),)

    def read(self, spec: EdgeSpec, world: World, pods: tuple[Pod, ...]) -> EdgeFacts:
        gateways = world.edge_objects[self.select(spec)[0]].values()
        listeners = {name: port for gateway in gateways for name, port in gateway.items()}
        return EdgeFacts(listeners or None, ("1.0",))

    def find_claims(self, spec: MailProxySpec, ports: tuple[RoutedPort, ...]) -> tuple[Claim, ...]:
        return tuple(Claim("listener", port.entry_point) for port in ports)

    def find_route(self, proxy: MailProxy, service: MailService) -> ObjectRef:
        return ObjectRef(ROUTES.kind, route_name(proxy, service))

    def build_routes(self, proxy: MailProxy, ports: tuple[RoutedPort, ...]) -> list[Manifest]:
        policy = build_child(proxy, POLICIES, proxy.name, spec={"proxyProtocol": 2})
        routes = [
            build_child(
                *(proxy, ROUTES, route_name(proxy, port.service)),
                spec={"listener": port.entry_point, "to": service_name(proxy)},
            )
            for port in ports
        ]
        return [policy, *routes]

    def inspect_ports(
        self, spec: MailProxySpec, edge: Edge, ports: tuple[RoutedPort, ...]
    ) -> Iterator[Finding]:
        missing = [port.entry_point for port in ports if not port.found]
        if missing:
            message = f"LabGateway has no listener {missing[0]}."
            yield Finding(ConditionType.ENTRY_POINTS_READY, Reason.ENTRY_POINT_MISSING, message)
        else:
            yield Finding(ConditionType.ENTRY_POINTS_READY, Reason.FOUND, "All listeners exist.")

    def explain_missing_kind(self, kind: str) -> str:
        return "install the Lab"
