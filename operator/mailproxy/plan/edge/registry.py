"""All adapters, by the type of edge that each is for."""

from collections.abc import Mapping

from mailproxy.identity import Resource
from mailproxy.observed.kinds import Projection, find_projections
from mailproxy.plan.edge.adapter import EdgeAdapter
from mailproxy.plan.edge.generic import GenericAdapter
from mailproxy.plan.edge.traefik.adapter import TraefikAdapter

_ADAPTERS: tuple[EdgeAdapter, ...] = (TraefikAdapter(), GenericAdapter())

ADAPTERS: Mapping[str, EdgeAdapter] = {adapter.type: adapter for adapter in _ADAPTERS}
# In the order of writes of each.
ROUTE_KINDS: tuple[Resource, ...] = tuple(
    dict.fromkeys(kind for adapter in _ADAPTERS for kind in adapter.route_kinds)
)
PROJECTIONS: Mapping[Resource, Projection] = {
    **find_projections(ROUTE_KINDS),
    **{kind: keep for adapter in _ADAPTERS for kind, keep in adapter.projections.items()},
}


def find_adapter(edge_type: str) -> EdgeAdapter:
    """The adapter of an edge type."""
    return ADAPTERS[edge_type]


def find_adapter_of(kind: str) -> EdgeAdapter | None:
    """The adapter that makes objects of this kind; None if it is no kind of routes."""
    makers = (a for a in _ADAPTERS if kind in {resource.kind for resource in a.route_kinds})
    return next(makers, None)
