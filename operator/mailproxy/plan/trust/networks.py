"""Sources from which a PROXY header is accepted: from live pods to the sorted list of networks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from mailproxy.api.networks import Network
from mailproxy.api.spec import TrustSource, TrustSpec
from mailproxy.api.status import MAX_TRUSTED_NETWORKS
from mailproxy.observed.addresses import Address
from mailproxy.observed.node import Node
from mailproxy.observed.pod import Pod


@dataclass(frozen=True)
class Trust:
    """The trusted networks and what is worth saying about where they come from.

    `networks` is sorted, IPv4 first, without duplicates; empty means that nobody is trusted.
    `host_nodes` run hostNetwork proxy pods; `silent_nodes` should have given an address or a pod
    CIDR and did not. `too_many` is how many networks there were when Dovecot could not read them
    all: nobody is trusted then, as any choice among them would be arbitrary.
    """

    networks: tuple[Network, ...]
    host_nodes: tuple[str, ...] = ()
    silent_nodes: tuple[str, ...] = ()
    too_many: int = 0


def decide_trust(spec: TrustSpec, pods: Iterable[Pod], nodes: Mapping[str, Node]) -> Trust:
    """Networks of the live `pods` as `spec` wants them, and those it names itself."""
    live = [pod for pod in pods if pod.is_live]
    host_nodes = {pod.node for pod in live if pod.host_network}
    found: set[Network] = set(spec.networks)
    silent: set[str] = set()
    if spec.source == TrustSource.PROXY_PODS:
        for pod in live:
            addresses = _pod_addresses(pod, nodes)
            found.update(as_network(address) for address in addresses)
            if pod.host_network and pod.node and not addresses:
                silent.add(pod.node)
    elif spec.source == TrustSource.NODE_POD_CIDRS:
        for name in {pod.node for pod in live if pod.node}:
            cidrs = nodes[name].pod_cidrs if name in nodes else ()
            found.update(cidrs)
            if not cidrs:
                silent.add(name)
    too_many = len(found) if len(found) > MAX_TRUSTED_NETWORKS else 0
    networks = () if too_many else sort_networks(found)
    return Trust(networks, tuple(sorted(host_nodes)), tuple(sorted(silent)), too_many)


def as_network(address: Address) -> Network:
    """Network of one host: /32 or /128."""
    return ip_network(address)


def sort_networks(networks: Iterable[Network]) -> tuple[Network, ...]:
    """IPv4 before IPv6, each by number, without duplicates."""
    return tuple(
        sorted(set(networks), key=lambda n: (n.version, int(n.network_address), n.prefixlen))
    )


def _pod_addresses(pod: Pod, nodes: Mapping[str, Node]) -> tuple[Address, ...]:
    """Addresses that the pod's connections may come from.

    A hostNetwork pod sends from any address of its node, so all of them count.
    """
    if not pod.host_network:
        return pod.addresses
    node = nodes.get(pod.node)
    return (*pod.addresses, *(node.addresses if node else ()))
