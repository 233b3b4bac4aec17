"""NetworkPolicies as nftables rules, for a node whose pods sit behind routed veths.

All traffic of such pods passes the node's `forward` hook, also what came in by a ClusterIP (its
address is a pod's by then). What the node itself sends, such as the kubelet's probes, does not pass
it: no policy concerns that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from tests.controlplane.api import Manifest, Manifests

TABLE = "network_policy"
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Direction:
    """Names of one direction in the API and in nftables; the peer is who is not the policy's."""

    policy_type: str
    rules_key: str
    peers_key: str
    own_side: str
    peer_side: str


INGRESS = Direction("Ingress", "ingress", "from", "daddr", "saddr")
EGRESS = Direction("Egress", "egress", "to", "saddr", "daddr")


@dataclass(frozen=True)
class Pod:
    """What matters of a pod that has addresses of its own."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    named_ports: tuple[tuple[str, str, int], ...]  # name, protocol, number


@dataclass(frozen=True)
class Cluster:
    """All pods with addresses, and the labels of each namespace."""

    pods: Sequence[Pod]
    namespaces: Mapping[str, Mapping[str, str]]


def compile_ruleset(pods: Manifests, namespaces: Manifests, policies: Manifests) -> str:
    """Text for `nft -f -` that replaces our table as a whole, and touches no other one.

    Each isolated pod has a chain for each direction, in which `return` means that the packet may
    go on. New connections pass the chain of their sender, then that of their receiver;
    established ones live on, whatever the policies become.
    """
    labels = {item["metadata"]["name"]: _labels(item) for item in namespaces}
    cluster = Cluster(sorted(_read_pods(pods), key=lambda pod: (pod.namespace, pod.name)), labels)
    ordered = sorted(policies, key=lambda p: (p["metadata"]["namespace"], p["metadata"]["name"]))
    chains: list[str] = []
    jumps: list[str] = []
    for direction in (EGRESS, INGRESS):
        for pod in cluster.pods:
            if isolating := [p for p in ordered if _isolates(p, pod, direction)]:
                name = f"{direction.rules_key}/{pod.namespace}/{pod.name}"
                chains += _build_chain(name, isolating, pod, direction, cluster)
                jumps += [
                    f"    {_family(address)} {direction.own_side} {address} jump {name}"
                    for address in pod.addresses
                ]
    lines = [
        f"table inet {TABLE}",  # so that there is one to delete
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        *chains,
        "  chain forward {",
        "    type filter hook forward priority filter; policy accept;",
        "    ct state established,related accept",
        *jumps,
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _build_chain(
    name: str, policies: Manifests, pod: Pod, direction: Direction, cluster: Cluster
) -> list[str]:
    lines = [f"  chain {name} {{"]
    for address in pod.addresses:  # by its own ClusterIP; no policy keeps a pod from itself
        family = _family(address)
        lines.append(f"    {family} saddr {address} {family} daddr {address} return")
    for policy in policies:
        lines.append(f"    # {policy['metadata']['name']}")
        for rule in policy["spec"].get(direction.rules_key) or []:
            found = _find_matches(rule, policy["metadata"]["namespace"], pod, direction, cluster)
            lines += [f"    {' '.join(filter(None, match))} return" for match in found]
    return [*lines, "    counter drop", "  }"]


def _find_matches(
    rule: Manifest, namespace: str, pod: Pod, direction: Direction, cluster: Cluster
) -> Iterator[tuple[str, str]]:
    """Pairs of a match on the peer's address and one on the port; empty ones match everything."""
    peers = rule.get(direction.peers_key) or []
    side = direction.peer_side
    for port in rule.get("ports") or [{}]:
        if not isinstance(port.get("port"), str):
            addresses = _match_peers(peers, namespace, side, cluster)
            yield from ((address, _match_port(port)) for address in addresses)
        elif direction is INGRESS:
            for number in _find_numbers(port, pod):
                addresses = _match_peers(peers, namespace, side, cluster)
                yield from ((address, number) for address in addresses)
        else:  # the name is the receiver's, and each one may give it to another number
            for peer in _select_pods(peers, namespace, cluster) if peers else cluster.pods:
                for number in _find_numbers(port, peer):
                    addresses = _match_pods([peer], side)
                    yield from ((address, number) for address in addresses)


def _match_peers(peers: Manifests, namespace: str, side: str, cluster: Cluster) -> list[str]:
    """A match for each address family and each ipBlock; one empty match without any peer."""
    if not peers:
        return [""]
    blocks = [_match_block(peer["ipBlock"], side) for peer in peers if "ipBlock" in peer]
    return blocks + _match_pods(_select_pods(peers, namespace, cluster), side)


def _select_pods(peers: Manifests, namespace: str, cluster: Cluster) -> list[Pod]:
    """Pods that one of the peers names; a peer without namespaceSelector means its own one's."""
    return [
        pod
        for pod in cluster.pods
        if any(_is_peer(peer, namespace, pod, cluster) for peer in peers)
    ]


def _is_peer(peer: Manifest, namespace: str, pod: Pod, cluster: Cluster) -> bool:
    if "ipBlock" in peer:
        return False
    if (selector := peer.get("namespaceSelector")) is None:
        right_namespace = pod.namespace == namespace
    else:
        right_namespace = selects(selector, cluster.namespaces.get(pod.namespace, {}))
    return right_namespace and selects(peer.get("podSelector") or {}, pod.labels)


def _match_pods(pods: Iterable[Pod], side: str) -> list[str]:
    addresses = sorted({address for pod in pods for address in pod.addresses})
    by_family = {f: [a for a in addresses if _family(a) == f] for f in ("ip", "ip6")}
    return [f"{f} {side} {{ {', '.join(some)} }}" for f, some in by_family.items() if some]


def _match_block(block: Manifest, side: str) -> str:
    family = _family(block["cidr"])
    excepted = ", ".join(block.get("except") or [])
    match = f"{family} {side} {block['cidr']}"
    return f"{match} {family} {side} != {{ {excepted} }}" if excepted else match


def _match_port(port: Manifest) -> str:
    """Match of a NetworkPolicyPort without a name; an empty one is any port of any protocol."""
    if not port:
        return ""
    protocol = port.get("protocol", "TCP").lower()
    if "port" not in port:
        return f"meta l4proto {protocol}"
    last = f"-{port['endPort']}" if "endPort" in port else ""
    return f"{protocol} dport {port['port']}{last}"


def _find_numbers(port: Manifest, pod: Pod) -> Iterator[str]:
    """Matches of the numbers that `pod` gives to a named port."""
    wanted = (port["port"], port.get("protocol", "TCP"))
    for name, protocol, number in pod.named_ports:
        if (name, protocol) == wanted:
            yield f"{protocol.lower()} dport {number}"


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a label selector, which selects everything when it is empty, selects `labels`."""
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions: Manifests = selector.get("matchExpressions") or []
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in expressions
    )


def _holds(expression: Manifest, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":  # also without the label
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(f"unknown operator {expression['operator']!r}")


def _isolates(policy: Manifest, pod: Pod, direction: Direction) -> bool:
    """Whether the policy applies to the pod in this direction."""
    spec = policy["spec"]
    by_default = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return (
        policy["metadata"]["namespace"] == pod.namespace
        and direction.policy_type in (spec.get("policyTypes") or by_default)
        and selects(spec.get("podSelector") or {}, pod.labels)
    )


def _read_pods(pods: Manifests) -> Iterator[Pod]:
    """Pods that have addresses, and not the node's."""
    for pod in pods:
        status = pod.get("status", {})
        addresses = tuple(str(ip_address(entry["ip"])) for entry in status.get("podIPs") or [])
        if not addresses or pod["spec"].get("hostNetwork") or status.get("phase") in ENDED:
            continue
        yield Pod(
            pod["metadata"]["namespace"],
            pod["metadata"]["name"],
            _labels(pod),
            addresses,
            tuple(_read_named_ports(pod)),
        )


def _read_named_ports(pod: Manifest) -> Iterator[tuple[str, str, int]]:
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports") or []:
            if "name" in port:
                yield port["name"], port.get("protocol", "TCP"), port["containerPort"]


def _labels(manifest: Manifest) -> Mapping[str, str]:
    labels: Mapping[str, str] = manifest["metadata"].get("labels") or {}
    return labels


def _family(address: str) -> str:
    """Name of the address family in nftables, of an address or a network."""
    return "ip" if ip_network(address, strict=False).version == 4 else "ip6"
