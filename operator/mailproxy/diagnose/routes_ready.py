"""`RoutesReady`: whether routes, Service and endpoints are as they should be."""

from collections.abc import Sequence

from mailproxy.api.conditions import ConditionType
from mailproxy.api.edge import EdgeType
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.accepted import is_about_user_files
from mailproxy.diagnose.finding import _FALSE, _TRUE, _UNKNOWN, Finding
from mailproxy.diagnose.mail_server_ready import is_about_workload
from mailproxy.diagnose.words import describe_pods, explain_problems
from mailproxy.observed.world import World
from mailproxy.plan.metadata import service_name, trust_name
from mailproxy.plan.model import Plan, Problem


def judge_routes(
    proxy: MailProxy, world: World, plan: Plan, problems: Sequence[Problem]
) -> Finding:
    type_ = ConditionType.ROUTES_READY
    if plan.conflict is not None:
        return Finding(type_, _UNKNOWN, Reason.PENDING, "Waits until the spec is accepted.")
    trust = ("ConfigMap", trust_name(proxy))
    others = (is_about_user_files, is_about_workload)
    mine = [p for p in problems if p.child != trust and not any(is_it(p) for is_it in others)]
    if mine:
        return Finding(type_, _FALSE, mine[0].reason, explain_problems(mine))
    is_traefik = proxy.spec.edge.type == EdgeType.TRAEFIK
    has_routes = any(kind == "IngressRouteTCP" for kind, _ in world.children)
    if is_traefik and not plan.edge.has_pods and not has_routes:
        message = "Routes are made as soon as the edge is found: see the condition EdgeDiscovered."
        return Finding(type_, _FALSE, Reason.WAITING_FOR_EDGE, message)
    if world.has_ready_endpoints is None:
        message = f"Waits for Kubernetes to look for the pods behind {service_name(proxy)}."
        return Finding(type_, _UNKNOWN, Reason.PENDING, message)
    if not world.has_ready_endpoints:
        labels = tuple(sorted(proxy.spec.mail_server.pod_selector.match_labels.items()))
        message = (
            f"No mail server is ready behind Service {service_name(proxy)}: no pod"
            f" {describe_pods(proxy.namespace, labels)} is. Start the mail server, or mend"
            " `spec.mailServer.podSelector`."
        )
        return Finding(type_, _FALSE, Reason.NO_ENDPOINTS, message)
    what = "its routes are" if is_traefik else "its endpoints are"
    message = f"Service {service_name(proxy)} and {what} as they should be."
    return Finding(type_, _TRUE, Reason.APPLIED, message)
