"""Where the mail server must see the files of our ConfigMaps, and what is wrong about a pod."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from posixpath import join

from mailproxy.api.mailproxy import MailProxy
from mailproxy.observed.pod import Container, Pod
from mailproxy.observed.volumes import (
    OVERRIDES_DIRECTORY,
    OVERRIDES_VOLUME,
    TRUST_DIRECTORY,
    TRUST_VOLUME,
    Mount,
    Source,
    Volume,
)
from mailproxy.observed.world import World
from mailproxy.plan.metadata import overrides_name, trust_name
from mailproxy.plan.model import Plan


@dataclass(frozen=True)
class Wanted:
    """The two ConfigMaps and the files that each has."""

    overrides: str
    overrides_files: tuple[str, ...]
    trust: str
    trust_files: tuple[str, ...]

    @property
    def config_maps(self) -> dict[str, str]:
        """ConfigMaps by the names that their volumes are given."""
        return {OVERRIDES_VOLUME: self.overrides, TRUST_VOLUME: self.trust}

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Files of the overrides one by one, as the directory belongs to others too; trust whole.

        A file that is mounted by itself is never updated, which trust must be.
        """
        files = (Mount(_override(f), OVERRIDES_VOLUME, f) for f in self.overrides_files)
        return (*files, Mount(TRUST_DIRECTORY, TRUST_VOLUME))


@dataclass(frozen=True)
class Gap:
    """A mount that is missing or wrong: what is, and what should be."""

    fault: str
    wanted: Mount


def find_gaps(pod: Pod, container: Container, wanted: Wanted) -> list[Gap]:
    """What `container` does not see of the files as it should."""
    volumes = {volume.name: volume for volume in pod.volumes}
    mounts = {mount.path: mount for mount in container.mounts}
    *files, trust = wanted.mounts
    gaps = [
        Gap(fault, mount)
        for mount in files
        if (fault := _judge_file(mount, mounts, volumes, wanted.overrides))
    ]
    if fault := _judge_trust(container.mounts, volumes, wanted):
        gaps.append(Gap(fault, trust))
    return gaps


def _override(file: str) -> str:
    return join(OVERRIDES_DIRECTORY, file)


def _judge_file(
    wanted: Mount, mounts: dict[str, Mount], volumes: dict[str, Volume], config_map: str
) -> str:
    """What is wrong with one file of the overrides; empty when nothing is."""
    file = wanted.sub_path
    mount = mounts.get(wanted.path)
    if mount is not None:
        volume = volumes.get(mount.volume)
        if volume and volume.holds(mount.sub_path, config_map, file):
            return ""
        return f"mounts something else than {file} of ConfigMap {config_map} at {wanted.path}"
    folder = mounts.get(OVERRIDES_DIRECTORY)
    if folder is not None:
        volume = volumes.get(folder.volume)
        if volume and volume.holds(join(folder.sub_path, file), config_map, file):
            return ""
    return f"does not mount {file} of ConfigMap {config_map} at {wanted.path}"


def _judge_trust(mounts: Iterable[Mount], volumes: dict[str, Volume], wanted: Wanted) -> str:
    """What is wrong with the directory of trust; empty when nothing is."""
    inside = [m for m in mounts if m.path == TRUST_DIRECTORY or _is_trust_file(m.path)]
    frozen = [mount for mount in inside if mount.sub_path]
    if frozen:
        return (
            f"mounts {frozen[0].path} with `subPath`, which is never updated: trust would stay as"
            f" it was at the start; mount ConfigMap {wanted.trust} whole, as a directory"
        )
    whole = next((mount for mount in inside if mount.path == TRUST_DIRECTORY), None)
    if whole is None:
        return f"does not mount ConfigMap {wanted.trust} as the directory {TRUST_DIRECTORY}"
    volume = volumes.get(whole.volume)
    if volume and all(volume.holds(file, wanted.trust, file) for file in wanted.trust_files):
        return ""
    return f"mounts something else than ConfigMap {wanted.trust} at {TRUST_DIRECTORY}"


def _is_trust_file(path: str) -> bool:
    return path.startswith(f"{TRUST_DIRECTORY}/")


def render_manifest_lines(
    pod: Pod, container: Container, gaps: Sequence[Gap], wanted: Wanted
) -> str:
    """Lines to add to the pod template, as one line of YAML each for volumes and volumeMounts."""
    names = _name_volumes(pod, wanted)
    known = {volume.name for volume in pod.volumes}
    needed = {gap.wanted.volume for gap in gaps}
    volumes = ", ".join(
        f"{{name: {names[volume]}, configMap: {{name: {config_map}}}}}"
        for volume, config_map in wanted.config_maps.items()
        if volume in needed and names[volume] not in known
    )
    mounts = ", ".join(_render_mount(gap.wanted, names) for gap in gaps)
    lines = [f"volumes: [{volumes}]"] if volumes else []
    return "; ".join([*lines, f"volumeMounts of container {container.name}: [{mounts}]"])


def _render_mount(mount: Mount, names: dict[str, str]) -> str:
    sub_path = f", subPath: {mount.sub_path}" if mount.sub_path else ""
    return f"{{name: {names[mount.volume]}, mountPath: {mount.path}{sub_path}}}"


def _name_volumes(pod: Pod, wanted: Wanted) -> dict[str, str]:
    """Names of the volumes: those that the pod has of these ConfigMaps already, or ours."""
    names: dict[str, str] = {}
    for ours, config_map in wanted.config_maps.items():
        whole = [v.name for v in pod.volumes if [s for s in v.sources if _is_all(s, config_map)]]
        names[ours] = whole[0] if whole else ours
    return names


def _is_all(source: Source, config_map: str) -> bool:
    return source.config_map == config_map and not source.files


def find_wanted(proxy: MailProxy, world: World, plan: Plan) -> Wanted | None:
    """What is to be mounted: the files that the ConfigMaps have; None before they have any."""
    overrides, trust = overrides_name(proxy), trust_name(proxy)
    files = {}
    for name in (overrides, trust):
        child = world.children.get(("ConfigMap", name))
        files[name] = plan.find_files(name) or (child.files if child else ())
    if not all(files.values()):
        return None
    return Wanted(overrides, files[overrides], trust, files[trust])
