"""Addresses and networks as the API server sends them: any text, of which little can be trusted."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from mailproxy.api.networks import NETWORK_RULES, Network

Address = IPv4Address | IPv6Address


def parse_addresses(texts: Iterable[Any]) -> tuple[Address, ...]:
    """Addresses that another pod's packets can come from, sorted and each once; the rest is left.

    The API server takes any text for a node's address, and Python takes any text, line breaks
    too, behind the `%` of a zone: what has a zone is no address here.
    """
    found = {address for text in texts if (address := _parse_address(text)) is not None}
    return tuple(sorted(found, key=lambda address: (address.version, int(address))))


def _parse_address(text: Any) -> Address | None:
    if not isinstance(text, str) or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    is_foreign = not (address.is_unspecified or address.is_loopback or address.is_multicast)
    return address if is_foreign else None


def parse_networks(texts: Iterable[Any]) -> tuple[Network, ...]:
    """Networks that hold to the same rules as those that users write; the rest is left out."""
    return tuple(
        ip_network(text)
        for text in texts
        if isinstance(text, str) and all(rule.holds(text) for rule in NETWORK_RULES)
    )
