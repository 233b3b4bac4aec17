"""Which MailProxies are to be looked at again when an object has changed."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.observed.child import Child
from mailproxy.observed.endpoint_slice import Endpoints
from mailproxy.observed.snapshot import Stored, as_child

N = TypeVar("N")
V = TypeVar("V", Child, Endpoints)


class ChildIndex:
    """Children and endpoints by the MailProxy that they belong to, kept by the watches' changes."""

    def __init__(self) -> None:
        self._children: dict[ObjectKey, dict[ObjectRef, Child]] = defaultdict(dict)
        self._endpoints: dict[ObjectKey, dict[str, Endpoints]] = defaultdict(dict)

    def children(self, owner: ObjectKey) -> Mapping[ObjectRef, Child]:
        """Children that carry the owner's name in their label."""
        return self._children.get(owner, {})

    def has_ready_endpoints(self, owner: ObjectKey) -> bool | None:
        """Whether any pod behind the owner's PROXY Service is ready; None without a slice."""
        slices = self._endpoints.get(owner)
        return any(slice_.ready for slice_ in slices.values()) if slices else None

    def change_child(
        self, key: ObjectKey, old: Stored | None, new: Stored | None
    ) -> set[ObjectKey]:
        """Take over a change; returns the MailProxies that it concerns."""
        before = as_child(old) if old else None
        after = as_child(new) if new else None
        return _replace(self._children, key, before, after, lambda child: child.ref)

    def change_endpoints(
        self, key: ObjectKey, old: Endpoints | None, new: Endpoints | None
    ) -> set[ObjectKey]:
        """Take over a change; returns the MailProxies that it concerns."""
        return _replace(self._endpoints, key, old, new, lambda _: key.name)


def _replace(
    index: dict[ObjectKey, dict[N, V]],
    key: ObjectKey,
    old: V | None,
    new: V | None,
    name_of: Callable[[V], N],
) -> set[ObjectKey]:
    """Take `old` out of the index and put `new` in; returns the owners of both."""
    owners: set[ObjectKey] = set()
    if old is not None and old.owner:
        owner = ObjectKey(key.namespace, old.owner)
        owners.add(owner)
        index[owner].pop(name_of(old), None)
        if not index[owner]:
            del index[owner]
    if new is not None and new.owner:
        owner = ObjectKey(key.namespace, new.owner)
        owners.add(owner)
        index[owner][name_of(new)] = new
    return owners
