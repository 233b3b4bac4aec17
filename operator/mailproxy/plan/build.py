"""The decision: from a MailProxy and the observed world to the objects that should be."""

from mailproxy.api.edge import EdgeType, ProxyProtocolField
from mailproxy.api.mail_server import Firewall, TrustUpdate
from mailproxy.api.mail_services import find_services
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.networks import Network
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import Switch
from mailproxy.observed.selectors import dump_pod_set
from mailproxy.observed.world import World
from mailproxy.plan.conflicts import find_conflict
from mailproxy.plan.edge.facts import Edge, RoutedPort
from mailproxy.plan.edge.pods import discover_edge
from mailproxy.plan.edge.ports import route_ports
from mailproxy.plan.edge.traefik.routes import TRAEFIK_API, build_route, build_servers_transport
from mailproxy.plan.mail_server.overrides import render_overrides
from mailproxy.plan.metadata import Manifest, build_config_map, overrides_name, trust_name
from mailproxy.plan.model import CHILD_KINDS, TRAEFIK_KINDS, Plan, Problem, child_id
from mailproxy.plan.network_policy import build_network_policy
from mailproxy.plan.service import build_service
from mailproxy.plan.trust.clients import find_clients
from mailproxy.plan.trust.files import render_trust
from mailproxy.plan.trust.networks import Trust, as_network, decide_trust, sort_networks
from mailproxy.plan.user_files.check import find_refusal
from mailproxy.plan.user_files.merge import merge_overrides


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
    name = trust_name(proxy)
    return build_config_map(proxy, name, files, dump_pod_set(edge.pod_set))


def _build_overrides(proxy: MailProxy, world: World) -> Manifest | Problem:
    """Overrides with the user's own files, or why those cannot be taken.

    Ours alone are no way out: a mail server without its user's restrictions may do harm.
    """
    spec, own = proxy.spec, world.user_overrides
    name = overrides_name(proxy)
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
    return build_config_map(proxy, name, files)


def _build_fixed(proxy: MailProxy, edge: Edge, trust: Trust) -> list[Manifest]:
    """Children that need neither Traefik nor the user's files: network policy, PROXY Service."""
    spec = proxy.spec
    services = find_services(spec.ports_by_name)
    children: list[Manifest] = []
    if spec.network_policy == Switch.ENABLED:
        admitted = _admitted_networks(proxy, edge, trust)
        children.append(build_network_policy(proxy, edge.pod_set, admitted))
    return [*children, build_service(proxy, services)]


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
    routes = [build_route(proxy, port) for port in ports]
    if proxy.spec.edge.proxy_protocol.field == ProxyProtocolField.SERVERS_TRANSPORT:
        routes.insert(0, build_servers_transport(proxy))
    return routes, frozenset()


def _crd_missing(manifest: Manifest) -> Problem:
    kind, name = child_id(manifest)
    return Problem(
        (kind, name),
        Reason.CRD_MISSING,
        f"the API server does not serve {kind} ({TRAEFIK_API}): install Traefik's CRDs,"
        " for example with its Helm chart",
    )
