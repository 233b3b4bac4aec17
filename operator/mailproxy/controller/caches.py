"""The caches, and the snapshot of them that one decision rests on."""

from collections.abc import Callable
from typing import Any

from mailproxy.api.labels import MANAGED_BY_LABEL, MANAGER
from mailproxy.api.mailproxy import MailProxy
from mailproxy.controller.index import ChildIndex
from mailproxy.controller.kinds import (
    CHILDREN,
    CONFIG_MAPS,
    ENDPOINT_SLICES,
    MAIL_PROXIES,
    NODES,
    PODS,
    PROJECTIONS,
    SERVICES,
    WORKLOADS,
)
from mailproxy.engine.sources import Sources, Watch
from mailproxy.engine.workqueue import WorkQueue
from mailproxy.kube.client import KubeClient
from mailproxy.kube.reflector import Reflector
from mailproxy.kube.resource import Resource
from mailproxy.object_key import ObjectKey
from mailproxy.observed.body import sorted_labels
from mailproxy.observed.config_map import ConfigMap
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.observed.node import Node
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import (
    PodSet,
    find_client_pods,
    find_pod_set,
    load_pod_set,
    needs_nodes,
)
from mailproxy.observed.service import Service
from mailproxy.observed.workload import Workload
from mailproxy.observed.world import World
from mailproxy.plan.conflicts import find_neighbours
from mailproxy.plan.metadata import trust_name
from mailproxy.plan.rollout.workload import find_target

# Neighbours learn of a changed MailProxy a little later, so that a batch of them is one round.
NEIGHBOUR_DELAY_SECONDS = 0.2
_OURS = f"{MANAGED_BY_LABEL}={MANAGER}"


class NotSyncedError(Exception):
    """A watch that the decision needs has not delivered yet; `problem` says why, or is empty."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Caches:
    """All that is watched. Every change ends as a key in the queue and nothing else."""

    def __init__(self, client: KubeClient, queue: WorkQueue[ObjectKey]) -> None:
        self._queue = queue
        self._index = ChildIndex()
        self.sources: Sources[ObjectKey] = Sources(client, PROJECTIONS, queue.add)
        self._proxies: Reflector[StoredProxy] = self.sources.follow(
            Watch(MAIL_PROXIES), self._on_proxy, self.enqueue_all
        )
        self._children = {
            kind: self._follow(Watch(resource, label_selector=_OURS), self._index.change_child)
            for kind, resource in CHILDREN.items()
        }
        self._slices = self._follow(
            Watch(ENDPOINT_SLICES, label_selector=_OURS), self._index.change_endpoints
        )

    def _follow(
        self, watch: Watch, take_over: Callable[[ObjectKey, Any, Any], set[ObjectKey]]
    ) -> Reflector[Any]:
        def on_change(key: ObjectKey, old: Any, new: Any) -> None:
            for owner in take_over(key, old, new):
                self._queue.add(owner)

        return self.sources.follow(watch, on_change, self.enqueue_all)

    def _on_proxy(self, key: ObjectKey, old: StoredProxy | None, new: StoredProxy | None) -> None:
        self._queue.add(key)
        if new is None:
            self.sources.drop(key)
        if new is None or not new.asks_the_same(old):
            for neighbour in find_neighbours((old, new), self._proxies.objects) - {key}:
                self._queue.add_after(neighbour, NEIGHBOUR_DELAY_SECONDS)

    def enqueue_all(self) -> None:
        """Look at every MailProxy again: a whole watch came, went, or changed its state."""
        for key in self._proxies.objects:
            self._queue.add(key)

    def proxy(self, key: ObjectKey) -> StoredProxy | None:
        """The MailProxy as last seen; None when it is gone."""
        return self._proxies.objects.get(key)

    def find_unsynced(self) -> list[str]:
        """Name the permanent watches that have not delivered yet."""
        return [f"{watch}: {watch.error or 'not listed yet'}" for watch in self._unsynced()]

    def _unsynced(self) -> list[Reflector[Any]]:
        permanent = (self._proxies, *self._children.values(), self._slices)
        return [watch for watch in permanent if not watch.synced]

    def observe(self, key: ObjectKey, proxy: MailProxy) -> World:
        """Snapshot of all that matters for `proxy`; what it needs is watched from now on.

        Raises:
            NotSyncedError: Something is not known yet. To decide without it would be to take
                what is not known for what is not there. The key comes back when it is known.
        """
        if unsynced := self._unsynced():
            raise NotSyncedError("; ".join(f"{w}: {w.error}" for w in unsynced if w.error))
        # What no other watch has to deliver first is asked for at once, beside the others.
        needed = {_mail_pods_watch(proxy)}
        try:
            return self._observe(key, proxy, needed)
        finally:
            self.sources.want(key, needed)

    def _observe(self, key: ObjectKey, proxy: MailProxy, needed: set[Watch]) -> World:
        spec = proxy.spec.edge
        children = dict(self._index.children(key))
        service: Service | None = None
        if name := spec.resolved_service_name:
            service = self._look_for(needed, SERVICES, ObjectKey(spec.namespace, name))
        user_overrides: ConfigMap | None = None
        if name := proxy.spec.mail_server.overrides_from:
            own = ObjectKey(proxy.namespace, name)
            user_overrides = self._look_for(needed, CONFIG_MAPS, own)
        trust_map = children.get(("ConfigMap", trust_name(proxy)))
        remembered = load_pod_set(trust_map.edge_annotation) if trust_map else None
        pod_set = find_pod_set(spec, service, remembered)
        pods: tuple[Pod, ...] = ()
        if pod_set is not None:
            pods = tuple(self._look(needed, _pods_watch(pod_set)).values())
        client_pods = {
            client: tuple(self._look(needed, _pods_watch(where)).values())
            for client, where in find_client_pods(proxy).items()
        }
        nodes: dict[str, Node] = {}
        if needs_nodes(proxy.spec.trust, pods):
            nodes = {node.name: node for node in self._look(needed, Watch(NODES)).values()}
        mail_pods = tuple(self._look(needed, _mail_pods_watch(proxy)).values())
        workload, workload_error = self._look_for_workload(needed, proxy)
        stored = self._proxies.objects.values()
        return World(
            others=tuple(s.proxy for s in stored if s.proxy is not None and s.key != key),
            edge_service=service,
            pod_set=pod_set,
            pods=pods,
            nodes=nodes,
            has_ready_endpoints=self._index.has_ready_endpoints(key),
            missing_kinds=frozenset(k for k, r in self._children.items() if not r.served),
            children=children,
            user_overrides=user_overrides,
            client_pods=client_pods,
            mail_pods=mail_pods,
            workload=workload,
            workload_error=workload_error,
        )

    def _look_for_workload(
        self, needed: set[Watch], proxy: MailProxy
    ) -> tuple[Workload | None, str]:
        """Return what is to be changed, or why it cannot be known: all else goes on without it."""
        ref = find_target(proxy)
        if ref is None:
            return None, ""
        key = ObjectKey(proxy.namespace, ref.name)
        try:
            return self._look_for(needed, WORKLOADS[ref.kind], key), ""
        except NotSyncedError as unknown:
            if not unknown.problem:
                raise
            return None, unknown.problem

    def _look_for(self, needed: set[Watch], resource: Resource, key: ObjectKey) -> Any:
        """Return the one object of that name, None when there is none; watched alone."""
        watch = Watch(resource, key.namespace, field_selector=f"metadata.name={key.name}")
        return self._look(needed, watch).get(key)

    def _look(self, needed: set[Watch], watch: Watch) -> Any:
        """Objects of a watch that has delivered; ask for it in any case."""
        needed.add(watch)
        try:
            reflector = self.sources.get(watch)
        except KeyError:
            raise NotSyncedError("") from None
        if not reflector.synced:
            raise NotSyncedError(reflector.error or "")
        return reflector.objects


def _mail_pods_watch(proxy: MailProxy) -> Watch:
    labels = sorted_labels(proxy.spec.mail_server.pod_selector.match_labels)
    return _pods_watch(PodSet(proxy.namespace, labels))


def _pods_watch(pods: PodSet) -> Watch:
    selector = ",".join(f"{key}={value}" for key, value in pods.labels)
    return Watch(PODS, pods.namespace, label_selector=selector)
