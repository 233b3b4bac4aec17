"""Networks as users may write them: exactly what CEL's `isCIDR` accepts, and never too wide."""

import re
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticKnownError

from mailproxy.api.base import Rule, schema_rules

Network = IPv4Network | IPv6Network

MAX_NETWORK_LENGTH = 43  # eight groups of four, seven colons, a slash and three digits
WIDEST_IPV4 = 8
WIDEST_IPV6 = 32

_CIDR = re.compile(r"[0-9A-Fa-f:.]+/(0|[1-9][0-9]{0,2})")


def _parse(text: str) -> IPv4Interface | IPv6Interface | None:
    """Address and network of what `isCIDR` accepts; None for the rest.

    Python alone would also take netmasks, bare addresses, zones, leading zeros in the prefix and
    IPv4-mapped IPv6 addresses, which CEL refuses.
    """
    if _CIDR.fullmatch(text) is None:
        return None
    try:
        parsed = ip_interface(text)
    except ValueError:
        return None
    is_mapped = isinstance(parsed, IPv6Interface) and parsed.ip.ipv4_mapped is not None
    return None if is_mapped else parsed


def _has_no_host_bits(text: str) -> bool:
    parsed = _parse(text)
    return parsed is None or parsed.ip == parsed.network.network_address


def _is_narrow(text: str) -> bool:
    parsed = _parse(text)
    if parsed is None:
        return True
    widest = WIDEST_IPV4 if parsed.version == 4 else WIDEST_IPV6
    return parsed.network.prefixlen >= widest


NETWORK_RULES = (
    Rule(
        "isCIDR(self)",
        "must be a network in CIDR notation, such as `192.0.2.0/24` or `2001:db8::/64`;"
        " a single address is written `192.0.2.7/32` or `2001:db8::7/128`",
        lambda text: _parse(text) is not None,
    ),
    Rule(
        "!isCIDR(self) || cidr(self) == cidr(self).masked()",
        "must not have bits set behind its prefix: write `10.1.0.0/16`, not `10.1.2.3/16`",
        _has_no_host_bits,
    ),
    Rule(
        "!isCIDR(self) || cidr(self).prefixLength() >= "
        f"(cidr(self).ip().family() == 4 ? {WIDEST_IPV4} : {WIDEST_IPV6})",
        f"must not be wider than /{WIDEST_IPV4} (IPv4) or /{WIDEST_IPV6} (IPv6): whoever sends"
        " from a trusted network can claim any client address",
        _is_narrow,
    ),
)


def _check_network(value: Any) -> Any:
    if isinstance(value, Network):
        return value
    if not isinstance(value, str):  # pydantic takes numbers: 1 would be 0.0.0.1/32
        raise PydanticKnownError("string_type")
    if len(value) > MAX_NETWORK_LENGTH:
        raise PydanticKnownError("string_too_long", {"max_length": MAX_NETWORK_LENGTH})
    for rule in NETWORK_RULES:
        rule.check(value)
    return value


TrustedNetwork = Annotated[
    Network,
    BeforeValidator(_check_network),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_NETWORK_LENGTH,
            **schema_rules(*NETWORK_RULES),
        }
    ),
]
