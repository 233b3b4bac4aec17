"""From what is known of the cluster to a World, or to what must be watched first.

The one algorithm for the operator's caches, the tests, and commands that look once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mailproxy.api.mailproxy import MailProxy
from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.observed.child import Child
from mailproxy.observed.kinds import CONFIG_MAPS, NODES, SERVICES, WORKLOADS
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.observed.node import Node
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import (
    PodSet,
    Selection,
    find_client_pods,
    find_mail_pods,
    find_pod_set,
    find_workload,
    load_pod_set,
    needs_nodes,
)
from mailproxy.observed.workload import Workload
from mailproxy.observed.world import Unreadable, World

Objects = Mapping[ObjectKey, Any]


class NotKnownError(Exception):
    """A selection that nobody has delivered yet; `problem` says why not, or is empty."""

    def __init__(self, problem: str = "") -> None:
        super().__init__(problem)
        self.problem = problem


class Lookup(Protocol):
    """What is known of the cluster."""

    def find(self, selection: Selection) -> Objects:
        """Projected objects of the selection. Raises NotKnownError."""

    def proxies(self) -> Iterable[StoredProxy]:
        """All MailProxies."""

    def children(self, owner: ObjectKey) -> Mapping[ObjectRef, Child]:
        """Objects that carry the owner's name in our label."""

    def has_ready_endpoints(self, owner: ObjectKey) -> bool | None:
        """Whether any pod behind the owner's PROXY Service is ready; None without a slice."""

    def missing_kinds(self) -> frozenset[str]:
        """Kinds of children that the API server does not serve."""


@dataclass(frozen=True)
class Assembly:
    """A whole World, or None if something is not known yet; then `problem` may say why not.

    `needed` is all that has to be watched for this MailProxy, as far as that is known.
    """

    world: World | None
    needed: frozenset[Selection]
    problem: str = ""


class _Search:
    """Asks the lookup and notes what was asked for, and what was not known."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.needed: set[Selection] = set()
        self.unknown: list[NotKnownError] = []

    @property
    def problem(self) -> str:
        """Why something is not known; empty if it has merely not come yet."""
        return next((error.problem for error in self.unknown if error.problem), "")

    def find(self, selection: Selection) -> Objects:
        """Objects of the selection; none if it is not known, which `unknown` then says."""
        self.needed.add(selection)
        try:
            return self._lookup.find(selection)
        except NotKnownError as error:
            self.unknown.append(error)
            return {}

    def find_one(self, selection: Selection) -> Any:
        """The one object that the selection names; None if there is none."""
        return next(iter(self.find(selection).values()), None)

    def find_pods(self, pod_set: PodSet | None) -> tuple[Pod, ...]:
        return tuple(self.find(pod_set.selection).values()) if pod_set else ()


def assemble(proxy: MailProxy, lookup: Lookup, edge_reads: Iterable[Selection] = ()) -> Assembly:
    """Collect all that matters to `proxy`; `edge_reads` are what its edge's adapter asks for.

    What is not known is never taken for what does not exist: then there is no World.
    """
    key, spec = ObjectKey(proxy.namespace, proxy.name), proxy.spec
    search = _Search(lookup)
    mail_pods = search.find_pods(find_mail_pods(proxy))
    client_pods = {name: search.find_pods(pods) for name, pods in find_client_pods(proxy).items()}
    edge_objects = {selection: search.find(selection) for selection in edge_reads}
    user_overrides = None
    if name := spec.mail_server.overrides_from:
        user_overrides = search.find_one(Selection(CONFIG_MAPS, proxy.namespace, name=name))
    workload = _find_workload(search, proxy)
    children = dict(lookup.children(key))
    pod_set, service = _find_edge(search, proxy, children)
    pods = search.find_pods(pod_set)
    nodes: dict[str, Node] = {}
    if needs_nodes(spec.trust, pods):
        nodes = {node.name: node for node in search.find(Selection(NODES)).values()}
    if search.unknown:
        return Assembly(None, frozenset(search.needed), search.problem)
    world = World(
        others=tuple(s.proxy for s in lookup.proxies() if s.proxy is not None and s.key != key),
        edge_service=service,
        pod_set=pod_set,
        pods=pods,
        edge_objects=edge_objects,
        nodes=nodes,
        has_ready_endpoints=lookup.has_ready_endpoints(key),
        missing_kinds=lookup.missing_kinds(),
        children=children,
        user_overrides=user_overrides,
        client_pods=client_pods,
        mail_pods=mail_pods,
        workload=workload,
    )
    return Assembly(world, frozenset(search.needed))


def _find_edge(
    search: _Search, proxy: MailProxy, children: Mapping[ObjectRef, Child]
) -> tuple[PodSet | None, Any]:
    """Which pods are the edge's, and its Service; None for what does not exist."""
    spec, service = proxy.spec.edge, None
    before = len(search.unknown)
    if name := spec.resolved_service_name:
        service = search.find_one(Selection(SERVICES, spec.namespace, name=name))
    if len(search.unknown) > before and spec.pod_selector is None:
        return None, None  # which pods to look for is not known either
    trust_map = children.get(ObjectRef("ConfigMap", proxy.trust_name))
    remembered = load_pod_set(trust_map.edge_annotation) if trust_map else None
    return find_pod_set(spec, service, remembered), service


def _find_workload(search: _Search, proxy: MailProxy) -> Workload | Unreadable | None:
    """What is to be changed. If it cannot be read, that is no reason to wait with all else."""
    ref = find_workload(proxy)
    if ref is None:
        return None
    before = len(search.unknown)
    selection = Selection(WORKLOADS[ref.kind], proxy.namespace, name=ref.name)
    workload: Workload | None = search.find_one(selection)
    if len(search.unknown) > before and search.unknown[-1].problem:
        return Unreadable(search.unknown.pop().problem)
    return workload
