"""A Lookup over API objects that somebody else has collected, such as a file or a test."""

from collections.abc import Iterable, Mapping
from typing import Any

from mailproxy.identity import ObjectKey, ObjectRef, Resource
from mailproxy.observed.assemble import Objects
from mailproxy.observed.child import Child
from mailproxy.observed.config_map import ConfigMap
from mailproxy.observed.endpoint_slice import Endpoints
from mailproxy.observed.kinds import ENDPOINT_SLICES, MAIL_PROXIES, Projection
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.observed.selectors import Selection
from mailproxy.observed.service import Service

Stored = Child | ConfigMap | Service  # what is kept of an object that may be a child


class Snapshot:
    """Knows exactly `bodies`: what is not among them does not exist.

    `projections` says what is kept of an object; `child_kinds` which kinds children have.
    """

    def __init__(
        self,
        bodies: Iterable[dict[str, Any]],
        projections: Mapping[Resource, Projection],
        child_kinds: Iterable[Resource],
    ) -> None:
        self._projections = projections
        self._child_kinds = tuple(child_kinds)
        self._bodies: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for body in bodies:
            self._bodies.setdefault((body["apiVersion"], body["kind"]), []).append(body)

    def find(self, selection: Selection) -> Objects:
        """Projected objects of the selection."""
        resource = selection.resource
        project = self._projections[resource]
        return {
            _key_of(body): project(body)
            for body in self._bodies.get((resource.api_version, resource.kind), ())
            if _matches(body["metadata"], selection)
        }

    def proxies(self) -> Iterable[StoredProxy]:
        """All MailProxies."""
        found: Iterable[StoredProxy] = self.find(Selection(MAIL_PROXIES)).values()
        return found

    def children(self, owner: ObjectKey) -> Mapping[ObjectRef, Child]:
        """Objects that carry the owner's name in our label."""
        found = (
            as_child(value)
            for resource in self._child_kinds
            for value in self.find(Selection(resource, owner.namespace)).values()
        )
        return {child.ref: child for child in found if child.owner == owner.name}

    def has_ready_endpoints(self, owner: ObjectKey) -> bool | None:
        """Whether any pod behind the owner's PROXY Service is ready; None without a slice."""
        slices: Iterable[Endpoints] = self.find(
            Selection(ENDPOINT_SLICES, owner.namespace)
        ).values()
        ready = [endpoints.ready for endpoints in slices if endpoints.owner == owner.name]
        return any(ready) if ready else None

    def missing_kinds(self) -> frozenset[str]:
        """Every kind is served."""
        return frozenset()


def as_child(value: Stored) -> Child:
    """What every object has that may be a child."""
    return value if isinstance(value, Child) else value.child


def _key_of(body: dict[str, Any]) -> ObjectKey:
    return ObjectKey(body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _matches(metadata: dict[str, Any], selection: Selection) -> bool:
    return (
        selection.namespace in (None, metadata.get("namespace"))
        and selection.name in ("", metadata["name"])
        and (metadata.get("labels") or {}).items() >= dict(selection.labels).items()
    )
