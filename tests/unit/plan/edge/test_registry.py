"""The adapters and the table of edge types say the same."""

import pytest
from tests.unit.worlds import Body, discover, mail_proxy, pod_body, service_body

from mailproxy.api.edge.types import EDGE_TYPES, EdgeType, find_row
from mailproxy.api.mailproxy import MailProxy
from mailproxy.plan.edge import registry
from mailproxy.plan.edge.registry import (
    ADAPTERS,
    PROJECTIONS,
    ROUTE_KINDS,
    find_adapter,
    find_adapter_of,
)
from mailproxy.plan.metadata import find_ref
from mailproxy.plan.model import CHILD_KINDS

OBJECTS: list[Body] = [service_body(), pod_body()]


def proxy_of(type_: EdgeType) -> MailProxy:
    return mail_proxy(edge={"type": str(type_), "serviceName": "traefik"})


@pytest.mark.parametrize("type_", EdgeType)
def test_each_edge_type_has_one_adapter_of_that_type(type_: EdgeType) -> None:
    assert [adapter.type for adapter in registry._ADAPTERS].count(str(type_)) == 1
    assert find_adapter(type_).type == type_


def test_each_adapter_is_for_an_edge_type() -> None:
    assert set(ADAPTERS) == {row.name for row in EDGE_TYPES} == set(map(str, EdgeType))
    assert len(registry._ADAPTERS) == len(EDGE_TYPES)


@pytest.mark.parametrize("type_", EdgeType)
def test_edge_type_has_routes_if_its_adapter_makes_some(type_: EdgeType) -> None:
    adapter, proxy = find_adapter(type_), proxy_of(type_)
    has_routes = find_row(type_).has_routes
    assert bool(adapter.route_kinds) is has_routes
    ports = adapter.assign_ports(proxy.spec, discover(proxy, OBJECTS))
    routes = [find_ref(manifest) for manifest in adapter.build_routes(proxy, ports)]
    found = [adapter.find_route(proxy, port.service) for port in ports]
    assert bool(routes) is has_routes
    assert set(filter(None, found)) <= set(routes)
    assert all((ref is not None) is has_routes for ref in found)


@pytest.mark.parametrize("type_", EdgeType)
def test_routes_are_of_the_adapters_kinds_in_the_order_of_writes(type_: EdgeType) -> None:
    adapter = find_adapter(type_)
    kinds = [resource.kind for resource in adapter.route_kinds]
    transport = {"traefik": {"proxyProtocolField": "ServersTransport"}}
    for edge in ({}, transport if type_ == EdgeType.TRAEFIK else {}):
        proxy = mail_proxy(edge={"type": str(type_), "serviceName": "traefik"} | edge)
        ports = adapter.assign_ports(proxy.spec, discover(proxy, OBJECTS))
        routes = adapter.build_routes(proxy, ports)
        order = [kinds.index(manifest["kind"]) for manifest in routes]
        assert order == sorted(order)
        served = {resource.kind: resource.api_version for resource in adapter.route_kinds}
        assert {m["kind"]: m["apiVersion"] for m in routes}.items() <= served.items()


def test_each_kind_of_routes_has_a_projection_an_adapter_and_words_for_a_remedy() -> None:
    assert len({resource.kind for resource in ROUTE_KINDS}) == len(ROUTE_KINDS)
    for resource in ROUTE_KINDS:
        assert resource in PROJECTIONS
        assert CHILD_KINDS[resource.kind] == resource
        adapter = find_adapter_of(resource.kind)
        assert adapter is not None
        assert resource in adapter.route_kinds
        for remedy in (
            adapter.explain_missing_kind(resource.kind),
            adapter.explain_missing_field(resource.kind, ".spec.x"),
        ):
            assert remedy[0].islower()
            assert not remedy.endswith(".")


@pytest.mark.parametrize("kind", ["ConfigMap", "Service", "NetworkPolicy", "Deployment"])
def test_no_adapter_makes_other_kinds(kind: str) -> None:
    assert find_adapter_of(kind) is None


@pytest.mark.parametrize("type_", EdgeType)
def test_adapter_reads_only_kinds_that_have_a_projection(type_: EdgeType) -> None:
    selections = find_adapter(type_).select(proxy_of(type_).spec.edge)
    assert {selection.resource for selection in selections} <= set(PROJECTIONS)
