"""`EntryPointsReady`: every port has an entryPoint of the edge."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.identity import ObjectRef
from mailproxy.plan.edge.registry import find_adapter

CONDITION = ConditionType.ENTRY_POINTS_READY


def owns(proxy: MailProxy, ref: ObjectRef) -> bool:
    """No object: entryPoints are part of the edge's own configuration."""
    del proxy, ref
    return False


def inspect(case: Case) -> Iterator[Finding]:
    """What the adapter says, once there are pods to read."""
    spec, edge = case.proxy.spec, case.plan.edge
    adapter = find_adapter(spec.edge.type)
    if adapter.route_kinds and not edge.has_pods:
        message = "Waiting for the edge: see the condition EdgeDiscovered."
        yield Finding(CONDITION, Reason.PENDING, message)
    else:
        yield from adapter.inspect_ports(spec, edge, case.plan.ports)
