"""The decision: from a MailProxy and the observed world to the objects that should be."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailproxy.api.edge import EdgeType, ProxyProtocolField
from mailproxy.api.mail_server import Firewall, TrustUpdate
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.networks import Network
from mailproxy.api.spec import Switch
from mailproxy.api.status import Reason
from mailproxy.plan import manifests
from mailproxy.plan.addresses import Address
from mailproxy.plan.clients import Clients, find_clients
from mailproxy.plan.conflicts import find_conflict
from mailproxy.plan.edge import Edge, RoutedPort, discover_edge, dump_pod_set, route_ports
from mailproxy.plan.manifests import Manifest
from mailproxy.plan.merge import merge_overrides
from mailproxy.plan.observed import Child, ConfigMap, Node, Pod, PodSet, Service
from mailproxy.plan.overrides import overrides_hash, render_overrides, render_trust
from mailproxy.plan.ports import find_services
from mailproxy.plan.trust import Trust, as_network, decide_trust, sort_networks
from mailproxy.plan.user_overrides import find_refusal
from mailproxy.plan.workload import Workload

ChildId = tuple[str, str]  # kind and name; the namespace is the MailProxy's

TRAEFIK_KINDS = frozenset({"IngressRouteTCP", "ServersTransportTCP"})
CHILD_KINDS = TRAEFIK_KINDS | {"ConfigMap", "NetworkPolicy", "Service"}


@dataclass(frozen=True)
class World:
    """What was observed for one MailProxy.

    `pods` are those of `pod_set`; `nodes` are there only where trust depends on them. `children`
    carry our label and this MailProxy's name. `has_ready_endpoints` is None before Kubernetes has
    looked for pods behind the PROXY Service. `missing_kinds` are not served by the API server.
    `user_overrides` is the ConfigMap that `mailServer.overridesFrom` names, if it is there.
    `client_pods` are the pods of `internalClients`, by those clients' names.
    `mail_pods` are those of `mailServer.podSelector`, finished ones included. `poke_allowed` is
    None as long as no mail pod had to be poked. `beliefs` tells of proxy pods, by their first
    address, whether the mail server believes them, where that is known.
    `workload` is what `mailServer.workloadRef` names, None when it is not there or not needed;
    `workload_error` says why it cannot be known.
    """

    others: tuple[MailProxy, ...] = ()
    edge_service: Service | None = None
    pod_set: PodSet | None = None
    pods: tuple[Pod, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    has_ready_endpoints: bool | None = None
    missing_kinds: frozenset[str] = frozenset()
    children: Mapping[ChildId, Child] = field(default_factory=dict)
    user_overrides: ConfigMap | None = None
    client_pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    mail_pods: tuple[Pod, ...] = ()
    poke_allowed: bool | None = None
    beliefs: Mapping[Address, bool] = field(default_factory=dict)
    workload: Workload | None = None
    workload_error: str = ""


@dataclass(frozen=True)
class Problem:
    """Why one child is not as it should be; `reason` belongs to a condition."""

    child: ChildId
    reason: Reason
    message: str


@dataclass(frozen=True)
class Plan:
    """What should be. Children of `kept_kinds` stay as they are: neither applied nor pruned."""

    edge: Edge
    ports: tuple[RoutedPort, ...]
    trust: Trust
    clients: Clients | None
    conflict: str | None
    children: tuple[Manifest, ...]
    kept_kinds: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()

    def find_files(self, name: str) -> tuple[str, ...]:
        """Names of the files that this plan puts into the ConfigMap `name`; empty if into none."""
        manifests = (m for m in self.children if child_id(m) == ("ConfigMap", name))
        return tuple(sorted(file for manifest in manifests for file in manifest["data"]))

    def find_stale(self, children: Mapping[ChildId, Child]) -> list[Child]:
        """Children that exist and should not, of the kinds that this plan decides about."""
        wanted = {child_id(manifest) for manifest in self.children}
        wanted |= {problem.child for problem in self.problems}
        return [
            child
            for key, child in sorted(children.items())
            if key not in wanted and child.kind not in self.kept_kinds
        ]


def find_trust_hash(proxy: MailProxy, plan: Plan) -> str | None:
    """Hash of the trust list as it should be; None when there is none to be."""
    wanted = ("ConfigMap", manifests.trust_name(proxy))
    hashes = (overrides_hash(m["data"]) for m in plan.children if child_id(m) == wanted)
    return next(hashes, None)


def child_id(manifest: Manifest) -> ChildId:
    return manifest["kind"], manifest["metadata"]["name"]


def build_plan(proxy: MailProxy, world: World) -> Plan:
    """Decide what should be; the same input always gives the same plan."""
    spec = proxy.spec
    edge = discover_edge(spec.edge, world.edge_service, world.pod_set, world.pods)
    ports = route_ports(spec, edge)
    trust = decide_trust(spec.trust, edge.pods, world.nodes)
    conflict = find_conflict(proxy, world.others, edge)
    clients = find_clients(spec.internal_clients, world.client_pods)
    trust_map = _build_trust_map(proxy, edge, render_trust(trust.networks, clients))
    if conflict is not None:
        # Nothing new is made, but what exists must not go on trusting pods that are gone.
        present = child_id(trust_map) in world.children
        children = (trust_map,) if present else ()
        return Plan(edge, ports, trust, clients, conflict, children, CHILD_KINDS)
    overrides = _build_overrides(proxy, world)
    routes, kept = _build_routes(proxy, edge, ports)
    missing = [r for r in routes if r["kind"] in world.missing_kinds]
    problems = [_crd_missing(route) for route in missing]
    made = [trust_map, *_build_fixed(proxy, edge, trust)]
    if isinstance(overrides, Problem):
        problems.insert(0, overrides)
    else:
        made.insert(1, overrides)
    made += [route for route in routes if route not in missing]
    return Plan(edge, ports, trust, clients, None, tuple(made), kept, tuple(problems))


def _build_trust_map(proxy: MailProxy, edge: Edge, files: dict[str, str]) -> Manifest:
    name = manifests.trust_name(proxy)
    return manifests.build_config_map(proxy, name, files, dump_pod_set(edge.pod_set))


def _build_overrides(proxy: MailProxy, world: World) -> Manifest | Problem:
    """Overrides with the user's own files, or why those cannot be taken.

    Ours alone are no way out: a mail server without its user's restrictions may do harm.
    """
    spec, own = proxy.spec, world.user_overrides
    name = manifests.overrides_name(proxy)
    files = render_overrides(
        spec.listeners,
        find_services(spec.ports_by_name),
        firewall=spec.mail_server.firewall == Firewall.AUTO,
        reload=spec.mail_server.trust_update == TrustUpdate.RELOAD,
    )
    if spec.mail_server.overrides_from is not None:
        if refusal := find_refusal(proxy, own, files):
            return Problem(("ConfigMap", name), refusal.reason, refusal.message)
        users = dict(own.files) if own else {}
        files = merge_overrides(files, users, spec.mail_server.overrides_from)
    return manifests.build_config_map(proxy, name, files)


def _build_fixed(proxy: MailProxy, edge: Edge, trust: Trust) -> list[Manifest]:
    """Children that need neither Traefik nor the user's files: network policy, PROXY Service."""
    spec = proxy.spec
    services = find_services(spec.ports_by_name)
    children: list[Manifest] = []
    if spec.network_policy == Switch.ENABLED:
        admitted = _admitted_networks(proxy, edge, trust)
        children.append(manifests.build_network_policy(proxy, edge.pod_set, admitted))
    return [*children, manifests.build_service(proxy, services)]


def _admitted_networks(proxy: MailProxy, edge: Edge, trust: Trust) -> tuple[Network, ...]:
    """Networks that no pod selector covers: the user's own, and hostNetwork pods' addresses."""
    hosts = [as_network(a) for pod in edge.pods if pod.host_network for a in pod.addresses]
    if trust.host_nodes:
        hosts += [network for network in trust.networks if network.num_addresses == 1]
    return sort_networks([*proxy.spec.trust.networks, *hosts])


def _build_routes(
    proxy: MailProxy, edge: Edge, ports: tuple[RoutedPort, ...]
) -> tuple[list[Manifest], frozenset[str]]:
    """Routes, and the kinds to keep as they are while the edge is not known well enough."""
    if proxy.spec.edge.type != EdgeType.TRAEFIK:
        return [], frozenset()
    if not edge.has_pods:
        return [], TRAEFIK_KINDS
    routes = [manifests.build_route(proxy, port) for port in ports]
    if proxy.spec.edge.proxy_protocol.field == ProxyProtocolField.SERVERS_TRANSPORT:
        routes.insert(0, manifests.build_servers_transport(proxy))
    return routes, frozenset()


def _crd_missing(manifest: Manifest) -> Problem:
    kind, name = child_id(manifest)
    return Problem(
        (kind, name),
        Reason.CRD_MISSING,
        f"the API server does not serve {kind} ({manifests.TRAEFIK_API}): install Traefik's CRDs,"
        " for example with its Helm chart",
    )
