"""What was observed of the Deployment or StatefulSet that makes the mail server's pods."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mailproxy.api.labels import (
    CONSENT_ANNOTATION,
    TRUST_ANNOTATION,
    WIRED_BY_LABEL,
    WIRING_MANAGER,
)
from mailproxy.observed.volumes import OVERRIDES_VOLUME, TRUST_VOLUME, Mount, read_mounts


@dataclass(frozen=True)
class Workload:
    """A Deployment or a StatefulSet, by what matters for changing it.

    `consents` tells whether its owner lets us, `wired_by` which MailProxy its label names, and
    `is_wired` whether we own anything in it. `mounts` are those of each container where our files
    belong, without our own. `volumes` are those of ours that somebody else made. `fingerprint`
    is that of everything of which we might own a part; `generation` grows with each change of the
    spec, whosever it is.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    consents: bool
    wired_by: str
    is_wired: bool
    mounts: tuple[tuple[str, tuple[Mount, ...]], ...]
    volumes: tuple[tuple[str, str], ...]
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def containers(self) -> tuple[str, ...]:
        """Names of its pods' containers, in their order."""
        return tuple(name for name, _ in self.mounts)


@dataclass(frozen=True)
class _Ours:
    """Everything of which a part may be ours."""

    fields: Mapping[str, Any]
    wired_by: str
    volumes: list[Any]
    trust_hash: str
    mounts: tuple[tuple[str, tuple[Mount, ...]], ...]

    def hash(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_workload(body: Mapping[str, Any], kind: str) -> Workload:
    """Project a Deployment or a StatefulSet."""
    metadata = body["metadata"]
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    template = (body.get("spec") or {}).get("template") or {}
    spec = template.get("spec") or {}
    fields = _find_our_fields(metadata)
    keys = set(_list_keys(fields))
    containers = spec.get("containers") or []
    named = (OVERRIDES_VOLUME, TRUST_VOLUME)
    volumes = [volume for volume in spec.get("volumes") or [] if volume["name"] in named]
    mounts = tuple((container["name"], read_mounts(container)) for container in containers)
    template_notes = (template.get("metadata") or {}).get("annotations") or {}
    ours = _Ours(
        fields=fields,
        wired_by=labels.get(WIRED_BY_LABEL) or "",
        volumes=volumes,
        trust_hash=template_notes.get(TRUST_ANNOTATION) or "",
        mounts=mounts,
    )
    return Workload(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation") or 0,
        consents=notes.get(CONSENT_ANNOTATION) == "true",
        wired_by=ours.wired_by,
        is_wired=bool(fields),
        mounts=tuple(
            (name, tuple(m for m in found if _key(mountPath=m.path) not in keys))
            for name, found in mounts
        ),
        volumes=tuple(
            (volume["name"], (volume.get("configMap") or {}).get("name") or "")
            for volume in volumes
            if _key(name=volume["name"]) not in keys
        ),
        fingerprint=ours.hash(),
    )


def _find_our_fields(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields that belong to us, as `managedFields` has them; empty when none does."""
    for entry in metadata.get("managedFields") or []:
        if (entry.get("manager"), entry.get("operation")) == (WIRING_MANAGER, "Apply"):
            found: Mapping[str, Any] = entry.get("fieldsV1") or {}
            return found
    return {}


def _list_keys(fields: Mapping[str, Any]) -> Iterator[str]:
    """All keys of list items in `fieldsV1`, such as `k:{"name":"x"}`."""
    for key, below in fields.items():
        if key.startswith("k:"):
            yield key
        yield from _list_keys(below or {})


def _key(**key: str) -> str:
    return f"k:{json.dumps(key, separators=(',', ':'))}"
