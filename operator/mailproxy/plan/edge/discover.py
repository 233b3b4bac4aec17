"""The edge as it is: its pods, and what its adapter reads of them."""

from mailproxy.api.edge import EdgeSpec
from mailproxy.observed.world import World
from mailproxy.plan.edge.adapter import EdgeAdapter
from mailproxy.plan.edge.model import Edge
from mailproxy.plan.edge.ports import find_exposed


def discover_edge(spec: EdgeSpec, world: World, adapter: EdgeAdapter) -> Edge:
    """Sum up what was observed of the edge."""
    live = tuple(sorted({pod for pod in world.pods if pod.is_live}, key=lambda pod: pod.name))
    facts = adapter.read(spec, world, live)
    return Edge(
        pod_set=world.pod_set,
        is_located=_is_located(spec, world),
        pods=live,
        exposed=find_exposed(world.edge_service, live, facts.entry_points or {}),
        facts=facts,
    )


def _is_located(spec: EdgeSpec, world: World) -> bool:
    """Whether the spec's labels or Service tell which pods are the edge's."""
    service = world.edge_service
    if service is None:
        return spec.resolved_service_name is None
    return spec.pod_selector is not None or bool(service.selector)
