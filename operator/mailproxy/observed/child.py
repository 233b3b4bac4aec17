"""An object that carries our label, or has the name of one of our children."""

from dataclasses import dataclass

from mailproxy.api.labels import EDGE_ANNOTATION, MANAGED_BY_LABEL, MANAGER, NAME_LABEL
from mailproxy.identity import ObjectRef
from mailproxy.observed.body import Labels, Object, sorted_labels


@dataclass(frozen=True)
class Child:
    """Identity of an object that carries our label, or has the name of one of our children.

    Of a ConfigMap of ours also the names of its `files`, and when we last changed it (RFC 3339).
    """

    kind: str
    name: str
    uid: str
    resource_version: str
    controller_uid: str | None
    labels: Labels = ()
    edge_annotation: str = ""
    files: tuple[str, ...] = ()
    changed_at: str = ""

    def is_owned_by(self, uid: str, name: str) -> bool:
        """Whether the MailProxy `name` with `uid` owns it, or lost only its owner reference."""
        if self.controller_uid is not None:
            return self.controller_uid == uid
        return dict(self.labels).items() >= {MANAGED_BY_LABEL: MANAGER, NAME_LABEL: name}.items()

    @property
    def ref(self) -> ObjectRef:
        """Its kind and name."""
        return ObjectRef(self.kind, self.name)

    @property
    def owner(self) -> str:
        """Name of the MailProxy that the object says it belongs to."""
        return dict(self.labels).get(NAME_LABEL, "")

    @property
    def is_ours(self) -> bool:
        """Whether its label says that it was created for a MailProxy, whichever."""
        return dict(self.labels).get(MANAGED_BY_LABEL) == MANAGER


def read_child(body: Object, kind: str) -> Child:
    metadata = body["metadata"]
    owners = metadata.get("ownerReferences") or []
    return Child(
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        controller_uid=next((o["uid"] for o in owners if o.get("controller")), None),
        labels=sorted_labels(metadata.get("labels")),
        edge_annotation=(metadata.get("annotations") or {}).get(EDGE_ANNOTATION, ""),
    )
