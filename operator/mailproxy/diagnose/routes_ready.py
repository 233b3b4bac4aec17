"""`RoutesReady`: the routes, the PROXY Service and its endpoints are in place."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.words import WAITS_FOR_ACCEPTANCE, describe_mail_pods
from mailproxy.identity import ObjectRef
from mailproxy.observed.kinds import SERVICES
from mailproxy.plan.edge.registry import ROUTE_KINDS, find_adapter
from mailproxy.plan.metadata import service_name

CONDITION = ConditionType.ROUTES_READY

_KINDS = {SERVICES.kind, *(resource.kind for resource in ROUTE_KINDS)}


def owns(proxy: MailProxy, ref: ObjectRef) -> bool:
    """Routes, and the Service that they lead to."""
    del proxy
    return ref.kind in _KINDS


def inspect(case: Case) -> Iterator[Finding]:
    """Whether there are routes, and a mail server behind them."""
    if case.has_conflict:
        yield Finding(CONDITION, Reason.PENDING, WAITS_FOR_ACCEPTANCE)
        return
    proxy, service = case.proxy, service_name(case.proxy)
    adapter = find_adapter(proxy.spec.edge.type)
    has_routes = any(
        adapter.find_route(proxy, port.service) in case.world.children for port in case.plan.ports
    )
    if adapter.route_kinds and not case.plan.edge.has_pods and not has_routes:
        message = "Routes are created once the edge is found: see the condition EdgeDiscovered."
        yield Finding(CONDITION, Reason.WAITING_FOR_EDGE, message)
    if case.world.has_ready_endpoints is None:
        message = f"Waiting for the EndpointSlices of Service {service}."
        yield Finding(CONDITION, Reason.PENDING, message)
    elif not case.world.has_ready_endpoints:
        message = (
            f"Service {service} has no ready endpoint: no pod {describe_mail_pods(proxy)} is ready."
            " Start the mail server, or fix `spec.mailServer.podSelector`."
        )
        yield Finding(CONDITION, Reason.NO_ENDPOINTS, message)
    what = "and its routes are" if adapter.route_kinds else "is"
    message = f"Service {service} {what} in place, and a mail server pod is ready."
    yield Finding(CONDITION, Reason.APPLIED, message)
