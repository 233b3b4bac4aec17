"""`EntryPointsReady`: whether every port has an entryPoint."""

from collections.abc import Iterable

from mailproxy.api.conditions import ConditionType
from mailproxy.api.edge import EdgeType
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import MailProxySpec
from mailproxy.diagnose.finding import _FALSE, _TRUE, _UNKNOWN, Finding
from mailproxy.plan.edge.facts import RoutedPort
from mailproxy.plan.model import Plan


def judge_entry_points(spec: MailProxySpec, plan: Plan) -> Finding:
    type_, edge = ConditionType.ENTRY_POINTS_READY, plan.edge
    if spec.edge.type != EdgeType.TRAEFIK:
        message = "An edge of type Generic is routed by its own configuration."
        return Finding(type_, _TRUE, Reason.NOT_APPLICABLE, message)
    if not edge.has_pods:
        return Finding(type_, _UNKNOWN, Reason.PENDING, "Waits for the edge to be discovered.")
    if edge.entry_points is None:
        assumed = ", ".join(port.entry_point for port in plan.ports)
        message = (
            "The proxy pods name no entryPoint in their arguments or TRAEFIK_ENTRYPOINTS_*"
            f" variables, so these are assumed: {assumed}. Where they are called otherwise, say so"
            " in `spec.ports[].entryPoint`."
        )
        return Finding(type_, _UNKNOWN, Reason.UNKNOWN, message)
    missing = [port for port in plan.ports if not port.found]
    if missing:
        message = _explain_missing(spec, missing, edge.entry_points)
        return Finding(type_, _FALSE, Reason.ENTRY_POINT_MISSING, message)
    message = f"Every port has an entryPoint: {_list_ports(plan.ports)}."
    return Finding(type_, _TRUE, Reason.FOUND, message)


def _list_ports(ports: Iterable[RoutedPort]) -> str:
    return ", ".join(f"{port.service.name} {port.entry_point}" for port in ports)


def _explain_missing(spec: MailProxySpec, missing: list[RoutedPort], known: Iterable[str]) -> str:
    ports = ", ".join(f"port {port.service.port} ({port.service.name})" for port in missing)
    values = ", ".join(
        f"{_suggest_name(spec, port)}: {{port: {9000 + port.service.port}, exposedPort:"
        f" {port.service.port}, protocol: TCP, expose: {{default: true}}}}"
        for port in missing
    )
    return (
        f"Traefik has no entryPoint for {ports}. Add to the chart's values: ports: {{{values}}};"
        f" or name one of those it has ({', '.join(sorted(known))}) in `spec.ports[].entryPoint`."
    )


def _suggest_name(spec: MailProxySpec, port: RoutedPort) -> str:
    if spec.ports_by_name[port.service.name].entry_point:
        return f"'{port.entry_point}'"  # as the user typed it; YAML would take `on` for a boolean
    # Not `mail-...`: the chart cuts names of ports at 15 characters, where two of them are equal.
    return str(port.service.name)
