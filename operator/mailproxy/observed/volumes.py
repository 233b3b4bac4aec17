"""What of a pod's volumes and mounts matters: which of a ConfigMap's files lies where."""

from collections.abc import Iterable
from dataclasses import dataclass
from posixpath import join, normpath

from mailproxy.observed.body import Object

OVERRIDES_DIRECTORY = "/tmp/docker-mailserver"  # noqa: S108 - docker-mailserver chose it
TRUST_DIRECTORY = "/etc/mailproxy/trust"
_DIRECTORIES = (OVERRIDES_DIRECTORY, TRUST_DIRECTORY)


@dataclass(frozen=True)
class Mount:
    """A volume in a container; `sub_path` is the one file or folder of it, empty: all."""

    path: str
    volume: str
    sub_path: str = ""


@dataclass(frozen=True)
class Source:
    """A ConfigMap in a volume: `files` are pairs of key and path; empty: every key as itself."""

    config_map: str
    files: tuple[tuple[str, str], ...] = ()

    def find_key(self, path: str) -> str | None:
        """The key that lies at `path`; None when none does."""
        if not self.files:
            return path
        return next((key for key, at in self.files if at == path), None)


@dataclass(frozen=True)
class Volume:
    """A volume of ConfigMaps: one, or several in a projected one."""

    name: str
    sources: tuple[Source, ...]

    def holds(self, path: str, config_map: str, key: str) -> bool:
        """Whether at `path` lies this key of this ConfigMap."""
        mine = [source for source in self.sources if source.config_map == config_map]
        others = [source for source in self.sources if source.config_map != config_map]
        # A ConfigMap without a list of files may hold anything, so it hides nothing.
        hidden = any(source.files and source.find_key(path) for source in others)
        return not hidden and any(source.find_key(path) == key for source in mine)


def read_volumes(bodies: Iterable[Object], mounts: Iterable[Mount]) -> tuple[Volume, ...]:
    """Volumes of ConfigMaps that one of `mounts` shows; all others are left out."""
    shown = {mount.volume for mount in mounts}
    found = [
        Volume(body["name"], sources)
        for body in bodies
        if body["name"] in shown and (sources := _read_sources(body))
    ]
    return tuple(sorted(found, key=lambda volume: volume.name))


def _read_sources(volume: Object) -> tuple[Source, ...]:
    projected = (volume.get("projected") or {}).get("sources") or []
    maps = [source.get("configMap") for source in (volume, *projected)]
    return tuple(
        Source(
            body.get("name") or "",
            tuple((item["key"], normpath(item.get("path") or "")) for item in body["items"])
            if body.get("items")
            else (),
        )
        for body in maps
        if body
    )


def read_mounts(container: Object) -> tuple[Mount, ...]:
    """Mounts at or below the directories in which our files are expected.

    What else a pod mounts is left out, so that an edge's pods have none.
    """
    mounts = (
        Mount(
            normpath(body.get("mountPath") or ""),
            body["name"],
            _normalize(body.get("subPath") or body.get("subPathExpr")),
        )
        for body in container.get("volumeMounts") or []
    )
    kept = [mount for mount in mounts if _concerns_us(mount.path)]
    return tuple(sorted(kept, key=lambda mount: mount.path))


def _normalize(sub_path: str | None) -> str:
    return normpath(sub_path) if sub_path else ""


def _concerns_us(path: str) -> bool:
    return any(path == folder or path.startswith(join(folder, "")) for folder in _DIRECTORIES)


OVERRIDES_VOLUME = "mailproxy-overrides"
TRUST_VOLUME = "mailproxy-trust"
