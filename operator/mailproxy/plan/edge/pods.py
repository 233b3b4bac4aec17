"""The edge as it is: its pods and whether they can serve."""

from collections.abc import Iterable

from mailproxy.api.edge import EdgeSpec, EdgeType, ProxyProtocolField
from mailproxy.api.reasons import Reason
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import PodSet
from mailproxy.observed.service import Service
from mailproxy.plan.edge.facts import Edge
from mailproxy.plan.edge.ports import find_exposed
from mailproxy.plan.edge.traefik.static_config import find_entry_points
from mailproxy.plan.edge.traefik.version import BROKEN_VERSION, find_version, lacks_transport


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
        exposed=find_exposed(service, live, entry_points),
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
    if wants_transport and any(map(lacks_transport, versions)):
        return Reason.TRAEFIK_TOO_OLD
    return None
