"""`EdgeDiscovered`: the edge has live proxy pods whose version can serve."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.edge import EdgeSpec
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.words import count, describe_edge, describe_pods
from mailproxy.identity import ObjectRef
from mailproxy.plan.edge.registry import find_adapter

CONDITION = ConditionType.EDGE_DISCOVERED


def owns(proxy: MailProxy, ref: ObjectRef) -> bool:
    """No object: the edge is the user's."""
    del proxy, ref
    return False


def inspect(case: Case) -> Iterator[Finding]:
    """What finds the pods, whether there are any, and what the adapter says of them."""
    spec, edge = case.proxy.spec.edge, case.plan.edge
    if not edge.is_located:
        yield _explain_service(case)
    elif not edge.pods:
        labels = edge.pod_set.labels if edge.pod_set else ()
        message = (
            f"No live proxy pod {describe_pods(spec.namespace, labels)}: no address of the edge is"
            " trusted until one runs. Start the edge, or fix `spec.edge`."
        )
        yield Finding(CONDITION, Reason.NO_PROXY_PODS, message)
    else:
        adapter = find_adapter(spec.type)
        yield from adapter.inspect_edge(spec, edge)
        versions = ", ".join(edge.facts.versions)
        version = f", {adapter.type} {versions}" if versions else ""
        message = f"{count(len(edge.pods), 'proxy pod')} of {describe_edge(spec)}{version}."
        yield Finding(CONDITION, Reason.DISCOVERED, message)


def _explain_alternative(spec: EdgeSpec) -> str:
    if spec.pod_selector is None:
        return "select the proxy's pods with `spec.edge.podSelector`"
    return "remove `spec.edge.serviceName`, as `spec.edge.podSelector` selects the proxy's pods"


def _explain_service(case: Case) -> Finding:
    """Why the spec does not tell which pods are the edge's."""
    spec, pod_set = case.proxy.spec.edge, case.plan.edge.pod_set
    service = f"Service {spec.namespace}/{spec.resolved_service_name}"
    if case.world.edge_service is None:
        reason = Reason.SERVICE_NOT_FOUND
        message = (
            f"{service} does not exist. Fix `spec.edge.namespace` and `spec.edge.serviceName`, or"
            f" {_explain_alternative(spec)}."
        )
    else:
        reason = Reason.NO_SELECTOR
        message = (
            f"{service} has no selector, so it does not tell which pods are the proxy's. Select"
            " them with `spec.edge.podSelector`."
        )
    if pod_set is not None:
        which = describe_pods(pod_set.namespace, pod_set.labels)
        message += f" Until then trust follows the pods {which}, and routes stay."
    return Finding(CONDITION, reason, message)
