"""Whom Fail2ban spares, and whose word about a client's address Dovecot takes: internal clients."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailproxy.api.mail_server import InternalClientSpec
from mailproxy.api.networks import Network
from mailproxy.api.status import MAX_TRUSTED_NETWORKS
from mailproxy.observed.pod import Pod
from mailproxy.plan.trust.networks import as_network, sort_networks


@dataclass(frozen=True)
class Clients:
    """Live addresses of `spec.internalClients`, sorted.

    `forwarding` are those of the ones that may name their users' addresses; None where no client
    may, so that a setting of the user's own stays in effect. `too_many` is how many there were when
    Dovecot could not read them all: none counts then, as any choice would be arbitrary.
    """

    addresses: tuple[Network, ...] = ()
    forwarding: tuple[Network, ...] | None = None
    too_many: int = 0


def find_clients(
    specs: Iterable[InternalClientSpec], pods: Mapping[str, Iterable[Pod]]
) -> Clients | None:
    """Addresses of the live `pods`, which are given by the clients' names; None without clients.

    Pods on their node's network do not count: every process there would have the same address.
    """
    specs = tuple(specs)
    if not specs:
        return None
    found: set[Network] = set()
    forwarding: set[Network] = set()
    for spec in specs:
        live = [p for p in pods.get(spec.name, ()) if p.is_live and not p.host_network]
        networks = {as_network(address) for pod in live for address in pod.addresses}
        found |= networks
        if spec.forwards_client_ip:
            forwarding |= networks
    too_many = len(found) if len(found) > MAX_TRUSTED_NETWORKS else 0
    if too_many:
        found, forwarding = set(), set()
    forwards = any(spec.forwards_client_ip for spec in specs)
    named = sort_networks(forwarding) if forwards else None
    return Clients(sort_networks(found), named, too_many)
