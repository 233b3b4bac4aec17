"""`spec.edge`: the proxy in front, a union with one member for each type that has fields."""

from mailproxy.api.edge.spec import EdgeSpec, ProxyProtocolSpec
from mailproxy.api.edge.traefik import ProxyProtocolField, TraefikSpec
from mailproxy.api.edge.types import EdgeType

__all__ = ["EdgeSpec", "EdgeType", "ProxyProtocolField", "ProxyProtocolSpec", "TraefikSpec"]
