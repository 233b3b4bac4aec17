"""Whether Traefik has an entryPoint for every port, and how to add one that is missing."""

from collections.abc import Iterable

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import MailProxySpec
from mailproxy.plan.edge.model import Edge, RoutedPort


def inspect_entry_points(spec: MailProxySpec, edge: Edge, ports: tuple[RoutedPort, ...]) -> Finding:
    """Finding about the entryPoints of `ports`."""
    if edge.facts.entry_points is None:
        assumed = ", ".join(port.entry_point for port in ports)
        return _find(
            Reason.UNKNOWN,
            "The proxy pods name no entryPoint in their arguments or TRAEFIK_ENTRYPOINTS_*"
            f" variables, so these are assumed: {assumed}. If they are called otherwise, name them"
            " in `spec.ports[].entryPoint`.",
        )
    missing = [port for port in ports if not port.found]
    if missing:
        message = _explain_missing(spec, missing, edge.facts.entry_points)
        return _find(Reason.ENTRY_POINT_MISSING, message)
    found = ", ".join(f"{port.service.name} {port.entry_point}" for port in ports)
    return _find(Reason.FOUND, f"Every port has an entryPoint: {found}.")


def _find(reason: Reason, message: str) -> Finding:
    return Finding(ConditionType.ENTRY_POINTS_READY, reason, message)


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
