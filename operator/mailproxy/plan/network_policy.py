"""The NetworkPolicy that guards the PROXY ports."""

from collections.abc import Sequence

from mailproxy.api.mail_services import MAIL_SERVICES, Listeners
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.networks import Network
from mailproxy.observed.kinds import NETWORK_POLICIES
from mailproxy.observed.selectors import PodSet
from mailproxy.plan.metadata import Manifest, build_child, policy_name

HIGHEST_PORT = 65535


def build_network_policy(
    proxy: MailProxy, edge_pods: PodSet | None, networks: Sequence[Network]
) -> Manifest:
    """NetworkPolicy that admits the edge to the PROXY ports and everybody to all other ports.

    `networks` are admitted beside the edge's pods. With no peer at all the rule is left out: an
    empty `from` would be stored as "anybody".
    """
    guarded = guarded_ports(proxy)
    peers: list[Manifest] = [{"ipBlock": {"cidr": str(network)}} for network in networks]
    if edge_pods is not None:
        peers.insert(0, _pods_peer(edge_pods))
    rules: list[Manifest] = [{"ports": _open_ports(guarded)}]
    if peers:
        ports = [{"protocol": "TCP", "port": port} for port in guarded]
        rules.insert(0, {"from": peers, "ports": ports})
    spec = {
        "podSelector": {
            "matchLabels": dict(sorted(proxy.spec.mail_server.pod_selector.match_labels.items()))
        },
        "policyTypes": ["Ingress"],
        "ingress": rules,
    }
    name = policy_name(proxy)
    return build_child(proxy, NETWORK_POLICIES, name, spec=spec)


def guarded_ports(proxy: MailProxy) -> list[int]:
    """Ports that only the edge may reach, sorted.

    The eight extra ports always: a mail server that has not restarted since the last change
    still listens on them. With `Shared` also the normal ports of the chosen services.
    """
    ports = {service.proxy_port for service in MAIL_SERVICES}
    if proxy.spec.listeners == Listeners.SHARED:
        ports |= {s.port for s in MAIL_SERVICES if s.name in proxy.spec.ports_by_name}
    return sorted(ports)


def _pods_peer(pods: PodSet) -> Manifest:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}},
        "podSelector": {"matchLabels": dict(pods.labels)},
    }


def _open_ports(guarded: list[int]) -> list[Manifest]:
    """Complement of the guarded TCP ports as ranges, and all of UDP and SCTP."""
    ranges: list[Manifest] = []
    begin = 1
    for port in [*guarded, HIGHEST_PORT + 1]:
        if begin < port:
            ranges.append({"protocol": "TCP", "port": begin, "endPort": port - 1})
        begin = port + 1
    others = ({"protocol": p, "port": 1, "endPort": HIGHEST_PORT} for p in ("UDP", "SCTP"))
    return [*ranges, *others]
