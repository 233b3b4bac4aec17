"""A ConfigMap: a user's, or a child of ours."""

from dataclasses import dataclass, replace

from mailproxy.api.labels import MANAGER
from mailproxy.observed.body import Object
from mailproxy.observed.child import Child, read_child


@dataclass(frozen=True)
class ConfigMap:
    """A ConfigMap: a user's, by its files, or a child of ours, whose content is not kept.

    `files` are texts by their keys, sorted; `binary_keys` those of `binaryData`.
    """

    child: Child
    files: tuple[tuple[str, str], ...] = ()
    binary_keys: tuple[str, ...] = ()


def read_config_map(body: Object) -> ConfigMap:
    child = read_child(body, "ConfigMap")
    if child.is_ours:
        files = tuple(sorted(body.get("data") or {}))
        return ConfigMap(replace(child, files=files, changed_at=_find_change(body["metadata"])))
    return ConfigMap(
        child,
        files=tuple(sorted((k, text or "") for k, text in (body.get("data") or {}).items())),
        binary_keys=tuple(sorted(body.get("binaryData") or {})),
    )


def _find_change(metadata: Object) -> str:
    """When our last apply that changed anything was; an apply that changes nothing does not count.

    Source: `managedFields`, which the API server keeps.
    """
    times = [
        entry.get("time") or ""
        for entry in metadata.get("managedFields") or []
        if (entry.get("manager"), entry.get("operation")) == (MANAGER, "Apply")
    ]
    return max(times, default="")
