"""The caches, and the World that is assembled from them for one decision."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mailproxy.api.labels import MANAGED_BY_LABEL, MANAGER
from mailproxy.api.mailproxy import MailProxy
from mailproxy.controller.index import ChildIndex
from mailproxy.engine.sources import Sources, Watch
from mailproxy.engine.workqueue import WorkQueue
from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.kube.client import KubeClient
from mailproxy.kube.reflector import Reflector
from mailproxy.observed.assemble import NotKnownError, Objects, assemble
from mailproxy.observed.body import join_labels
from mailproxy.observed.child import Child
from mailproxy.observed.kinds import ENDPOINT_SLICES, MAIL_PROXIES
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.observed.selectors import Selection
from mailproxy.observed.world import World
from mailproxy.options import Options
from mailproxy.plan.conflicts import find_neighbors
from mailproxy.plan.edge.registry import PROJECTIONS, find_adapter
from mailproxy.plan.model import CHILD_KINDS

_OURS = f"{MANAGED_BY_LABEL}={MANAGER}"


class Caches:
    """All that is watched. Every change ends as a key in the queue and nothing else."""

    def __init__(self, client: KubeClient, queue: WorkQueue[ObjectKey], options: Options) -> None:
        self._queue = queue
        self._options = options
        self._index = ChildIndex()
        self.sources: Sources[ObjectKey] = Sources(client, PROJECTIONS, queue.add, options)
        self._proxies: Reflector[StoredProxy] = self.sources.follow(
            Watch(MAIL_PROXIES), self._on_proxy, self.enqueue_all
        )
        self._children = {
            kind: self._follow(Watch(resource, label_selector=_OURS), self._index.change_child)
            for kind, resource in CHILD_KINDS.items()
        }
        self._slices = self._follow(
            Watch(ENDPOINT_SLICES, label_selector=_OURS), self._index.change_endpoints
        )

    def _follow(
        self, watch: Watch, change: Callable[[ObjectKey, Any, Any], set[ObjectKey]]
    ) -> Reflector[Any]:
        def on_change(key: ObjectKey, old: Any, new: Any) -> None:
            for owner in change(key, old, new):
                self._queue.add(owner)

        return self.sources.follow(watch, on_change, self.enqueue_all)

    def _on_proxy(self, key: ObjectKey, old: StoredProxy | None, new: StoredProxy | None) -> None:
        self._queue.add(key)
        if new is None:
            self.sources.drop(key)
        if new is None or not new.asks_the_same(old):
            for neighbor in find_neighbors((old, new), self._proxies.objects) - {key}:
                self._queue.add_after(neighbor, self._options.neighbor_delay_seconds)

    def enqueue_all(self) -> None:
        """Look at every MailProxy again: a whole watch came, went, or changed its state."""
        for key in self._proxies.objects:
            self._queue.add(key)

    def proxy(self, key: ObjectKey) -> StoredProxy | None:
        """The MailProxy as last seen; None if it is gone."""
        return self._proxies.objects.get(key)

    def find_unsynced(self) -> list[str]:
        """Name the permanent watches that have not delivered yet."""
        return [f"{watch}: {watch.error or 'not listed yet'}" for watch in self._unsynced()]

    def _unsynced(self) -> list[Reflector[Any]]:
        permanent = (self._proxies, *self._children.values(), self._slices)
        return [watch for watch in permanent if not watch.synced]

    def observe(self, proxy: MailProxy) -> World:
        """Snapshot of all that matters for `proxy`; what it needs is watched from now on.

        Raises:
            NotKnownError: Something is not known yet. The key comes back when it is.
        """
        if unsynced := self._unsynced():
            raise NotKnownError("; ".join(f"{w}: {w.error}" for w in unsynced if w.error))
        adapter = find_adapter(proxy.spec.edge.type)
        assembly = assemble(proxy, self, adapter.select(proxy.spec.edge))
        watches = {_build_watch(selection) for selection in assembly.needed}
        self.sources.want(ObjectKey(proxy.namespace, proxy.name), watches)
        if assembly.world is None:
            raise NotKnownError(assembly.problem)
        return assembly.world

    def find(self, selection: Selection) -> Objects:
        """Objects of a watch that has delivered. Raises NotKnownError."""
        try:
            reflector = self.sources.get(_build_watch(selection))
        except KeyError:
            raise NotKnownError from None
        if not reflector.synced:
            raise NotKnownError(reflector.error or "")
        return reflector.objects

    def proxies(self) -> Iterable[StoredProxy]:
        """All MailProxies."""
        return self._proxies.objects.values()

    def children(self, owner: ObjectKey) -> Mapping[ObjectRef, Child]:
        """Objects that carry the owner's name in our label."""
        return self._index.children(owner)

    def has_ready_endpoints(self, owner: ObjectKey) -> bool | None:
        """Whether any pod behind the owner's PROXY Service is ready; None without a slice."""
        return self._index.has_ready_endpoints(owner)

    def missing_kinds(self) -> frozenset[str]:
        """Kinds of children that the API server does not serve."""
        return frozenset(kind for kind, watch in self._children.items() if not watch.served)


def _build_watch(selection: Selection) -> Watch:
    return Watch(
        selection.resource,
        selection.namespace,
        label_selector=join_labels(selection.labels),
        field_selector=f"metadata.name={selection.name}" if selection.name else "",
    )
