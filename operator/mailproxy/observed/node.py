"""A Node, by what decisions need of it."""

from dataclasses import dataclass

from mailproxy.api.networks import Network
from mailproxy.observed.addresses import Address, parse_addresses, parse_networks
from mailproxy.observed.body import Object


@dataclass(frozen=True)
class Node:
    name: str
    addresses: tuple[Address, ...]
    pod_cidrs: tuple[Network, ...]


def read_node(body: Object) -> Node:
    spec, status = body.get("spec") or {}, body.get("status") or {}
    addresses = [
        entry.get("address")
        for entry in status.get("addresses") or []
        if entry.get("type") in ("InternalIP", "ExternalIP")
    ]
    cidrs = spec.get("podCIDRs") or [spec.get("podCIDR")]
    return Node(body["metadata"]["name"], parse_addresses(addresses), parse_networks(cidrs))
