"""Who has which address in a cluster, by its IP families."""

from ipaddress import ip_address, ip_network

import pytest
from tests.cluster.addresses import DUAL_STACK, IPV6_ONLY, MAX_NUMBER, Addresses


def all_networks(addresses: Addresses) -> list[tuple[str, ...]]:
    hosts = (addresses.host, addresses.node, addresses.gateway, addresses.load_balancer(254))
    networks = (addresses.pods, addresses.services, addresses.load_balancers, addresses.everywhere)
    return [*hosts, *networks]


@pytest.mark.parametrize("families", [DUAL_STACK, IPV6_ONLY])
def test_everything_has_one_address_of_each_family_in_order(families: tuple[int, ...]) -> None:
    for networks in all_networks(Addresses(7, families)):
        assert tuple(ip_network(network).version for network in networks) == families


@pytest.mark.parametrize("families", [DUAL_STACK, IPV6_ONLY])
def test_what_belongs_together_lies_in_one_network(families: tuple[int, ...]) -> None:
    last = Addresses(MAX_NUMBER, families)
    for host, node, length in zip(last.host, last.node, last.node_prefixes, strict=True):
        assert ip_address(host) in ip_network(f"{node}/{length}", strict=False)
    for gateway, pods in zip(last.gateway, last.pods, strict=True):
        assert ip_address(gateway) in ip_network(pods)
    for address, network in zip(last.load_balancer(254), last.load_balancers, strict=True):
        assert ip_address(address) in ip_network(network)


@pytest.mark.parametrize("number", [-1, MAX_NUMBER + 1])
def test_a_number_without_networks_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="0 to 250"):
        Addresses(number)
