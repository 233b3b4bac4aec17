"""Objects of any kind with resourceVersions, selectors and a history to watch."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Object = dict[str, Any]


class Place(NamedTuple):
    """Where an object is; an empty namespace or name stands for all of them."""

    plural: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Change:
    version: int
    place: Place
    old: Object | None
    new: Object | None

    def event(self, where: Place, query: Mapping[str, str]) -> Object | None:
        """The event that a watch of `where` gets to see, if any."""
        old, new = (
            item if item and matches(self.place, item, where, query) else None
            for item in (self.old, self.new)
        )
        shown = new or old
        if shown is None:
            return None
        kind = "DELETED" if new is None else "ADDED" if old is None else "MODIFIED"
        return {"type": kind, "object": with_version(shown, self.version)}


class ObjectStore:
    def __init__(self) -> None:
        self.version = 10
        self.objects: dict[Place, Object] = {}
        self.changes: list[Change] = []

    def store(self, place: Place, new: Object | None) -> Change:
        """Put an object in its place, or take it away."""
        old = self.objects.pop(place, None)
        self.version += 1
        if new is not None:
            metadata = {
                "labels": {},
                "uid": old["metadata"]["uid"] if old else str(uuid.uuid4()),
                **new.get("metadata", {}),
                "namespace": place.namespace,
                "name": place.name,
            }
            self.objects[place] = new = with_version({**new, "metadata": metadata}, self.version)
        change = Change(self.version, place, old, new)
        self.changes.append(change)
        return change

    def find(self, where: Place, query: Mapping[str, str]) -> list[Object]:
        return [item for at, item in self.objects.items() if matches(at, item, where, query)]

    def since(self, version: int) -> Iterator[Change]:
        return (change for change in self.changes if change.version > version)


def matches(at: Place, item: Object, where: Place, query: Mapping[str, str]) -> bool:
    """Whether an object is one that a list or watch of `where` asks for."""
    parts = [part for part in query.get("labelSelector", "").split(",") if part]
    labels = dict(part.split("=") for part in parts if "=" in part)
    keys = {part.partition("=")[0] for part in parts}
    name = query.get("fieldSelector", "").removeprefix("metadata.name=")
    return (
        at.plural == where.plural
        and where.namespace in ("", at.namespace)
        and name in ("", at.name)
        and labels.items() <= item["metadata"]["labels"].items()
        and keys <= item["metadata"]["labels"].keys()
    )


def with_version(item: Object, version: int) -> Object:
    return {**item, "metadata": {**item["metadata"], "resourceVersion": str(version)}}


def merge(old: Object, patch: Object) -> Object:
    """JSON merge patch, RFC 7396."""
    new = dict(old)
    for key, value in patch.items():
        if isinstance(value, dict):
            new[key] = merge(old.get(key) or {}, value)
        elif value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new
