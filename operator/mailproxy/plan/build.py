"""The decision: from a MailProxy and the observed world to the objects that should be."""

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mail_server import Firewall, TrustUpdate
from mailproxy.api.mail_services import find_services
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.networks import Network
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import Switch
from mailproxy.observed.selectors import dump_pod_set
from mailproxy.observed.world import World
from mailproxy.plan.conflicts import find_conflict
from mailproxy.plan.edge.adapter import EdgeAdapter
from mailproxy.plan.edge.discover import discover_edge
from mailproxy.plan.edge.model import Edge, RoutedPort
from mailproxy.plan.edge.registry import find_adapter
from mailproxy.plan.mail_server.overrides import render_overrides
from mailproxy.plan.metadata import Manifest, build_config_map, find_ref
from mailproxy.plan.model import CHILD_KINDS, Plan
from mailproxy.plan.network_policy import build_network_policy
from mailproxy.plan.service import build_service
from mailproxy.plan.trust.clients import find_clients
from mailproxy.plan.trust.files import render_trust
from mailproxy.plan.trust.networks import Trust, as_network, decide_trust, sort_networks
from mailproxy.plan.user_files.check import check_user_files
from mailproxy.plan.user_files.merge import merge_overrides


def build_plan(proxy: MailProxy, world: World) -> Plan:
    """Decide what should be; the same input always gives the same plan."""
    spec, adapter = proxy.spec, find_adapter(proxy.spec.edge.type)
    edge = discover_edge(spec.edge, world, adapter)
    ports = adapter.assign_ports(spec, edge)
    trust = decide_trust(spec.trust, edge.pods, world.nodes)
    conflict = find_conflict(proxy, world.others, edge)
    clients = find_clients(spec.internal_clients, world.client_pods)
    files = render_trust(trust.networks, clients)
    trust_map = build_config_map(proxy, proxy.trust_name, files, dump_pod_set(edge.pod_set))
    if conflict is not None:
        # Nothing new is created, but what exists must not go on trusting pods that are gone.
        present = (trust_map,) if find_ref(trust_map) in world.children else ()
        return Plan(edge, ports, trust, clients, conflict, present, frozenset(CHILD_KINDS))
    overrides, refused = _build_overrides(proxy, world)
    routes, kept = _build_routes(proxy, adapter, edge, ports)
    missing = [r for r in routes if r["kind"] in world.missing_kinds]
    children = (
        trust_map,
        *overrides,
        *_build_fixed(proxy, edge, trust),
        *(route for route in routes if route not in missing),
    )
    findings = (*refused, *(_explain_missing_kind(adapter, route) for route in missing))
    return Plan(edge, ports, trust, clients, None, children, kept, findings)


def _build_overrides(
    proxy: MailProxy, world: World
) -> tuple[tuple[Manifest, ...], tuple[Finding, ...]]:
    """Overrides with the user's own files, or why those cannot be taken.

    Ours alone are no way out: a mail server without its user's restrictions may do harm.
    """
    spec, own = proxy.spec, world.user_overrides
    files = render_overrides(
        spec.listeners,
        find_services(spec.ports_by_name),
        firewall=spec.mail_server.firewall == Firewall.AUTO,
        reload=spec.mail_server.trust_update == TrustUpdate.RELOAD,
    )
    if spec.mail_server.overrides_from is not None:
        if refusal := check_user_files(proxy, world, files):
            return (), (refusal,)
        users = dict(own.files) if own else {}
        files = merge_overrides(files, users, spec.mail_server.overrides_from)
    return (build_config_map(proxy, proxy.overrides_name, files),), ()


def _build_fixed(proxy: MailProxy, edge: Edge, trust: Trust) -> list[Manifest]:
    """Children of every edge type that need no files of the user's: policy and PROXY Service."""
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
    proxy: MailProxy, adapter: EdgeAdapter, edge: Edge, ports: tuple[RoutedPort, ...]
) -> tuple[list[Manifest], frozenset[str]]:
    """Routes, and the kinds to keep as they are while the edge is not known well enough."""
    if not edge.has_pods:
        return [], frozenset(resource.kind for resource in adapter.route_kinds)
    return adapter.build_routes(proxy, ports), frozenset()


def _explain_missing_kind(adapter: EdgeAdapter, manifest: Manifest) -> Finding:
    ref, version = find_ref(manifest), manifest["apiVersion"]
    message = (
        f"{ref}: the API server does not serve {ref.kind} ({version});"
        f" {adapter.explain_missing_kind(ref.kind)}."
    )
    return Finding(ConditionType.ROUTES_READY, Reason.CRD_MISSING, message, ref)
