"""`EdgeDiscovered`: whether the edge and its pods are known."""

from mailproxy.api.conditions import ConditionType
from mailproxy.api.edge import EdgeSpec
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.finding import _FALSE, _TRUE, Finding
from mailproxy.diagnose.words import count_things, describe_edge, describe_pods
from mailproxy.plan.edge.facts import Edge
from mailproxy.plan.edge.traefik.version import BROKEN_VERSION


def judge_edge(spec: EdgeSpec, edge: Edge) -> Finding:
    type_ = ConditionType.EDGE_DISCOVERED
    if edge.problem is not None:
        return Finding(type_, _FALSE, edge.problem, _explain_edge(spec, edge))
    version = f", Traefik {', '.join(edge.versions)}" if edge.versions else ""
    message = f"{count_things(len(edge.pods), 'proxy pod')} of {describe_edge(spec)}{version}."
    return Finding(type_, _TRUE, Reason.DISCOVERED, message)


def _explain_edge(spec: EdgeSpec, edge: Edge) -> str:
    service = f"{spec.namespace}/{spec.resolved_service_name}"
    if edge.problem == Reason.SERVICE_NOT_FOUND:
        text = (
            f"Service {service} does not exist: mend `spec.edge.namespace` and"
            " `spec.edge.serviceName`, or name the proxy's pods in `spec.edge.podSelector`."
        )
    elif edge.problem == Reason.NO_SELECTOR:
        text = (
            f"Service {service} has no selector, so it tells nothing about the proxy's pods: name"
            " them in `spec.edge.podSelector`."
        )
    elif edge.problem == Reason.TRAEFIK_PROXY_PROTOCOL_BUG:
        return (
            f"Traefik {BROKEN_VERSION} sends its own address instead of the client's in the PROXY"
            f" header, and the proxy pods run {', '.join(edge.versions)}. Upgrade Traefik to 3.5.3"
            " or newer."
        )
    elif edge.problem == Reason.TRAEFIK_TOO_OLD:
        return (
            f"The proxy pods run Traefik {', '.join(edge.versions)}, and before 3.5.3 it sends no"
            " PROXY header for `spec.edge.proxyProtocol.field: ServersTransport`. Upgrade Traefik,"
            " or set the field to `Service`."
        )
    else:
        which = describe_pods(spec.namespace, edge.pod_set.labels if edge.pod_set else ())
        return (
            f"No live proxy pod {which}: no address of the edge is trusted until one runs. Start"
            " the edge, or mend `spec.edge`."
        )
    if edge.pod_set is not None:
        which = describe_pods(edge.pod_set.namespace, edge.pod_set.labels)
        text += f" Until then trust follows the pods {which}, and routes stay."
    return text
