"""Where the mail server must see the files of our ConfigMaps, and what is wrong with a pod."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from posixpath import join

from mailproxy.api.mailproxy import MailProxy
from mailproxy.identity import ObjectRef
from mailproxy.observed.pod import Container, Pod
from mailproxy.observed.volumes import (
    OVERRIDES_DIRECTORY,
    OVERRIDES_VOLUME,
    TRUST_DIRECTORY,
    TRUST_VOLUME,
    Mount,
    Volume,
)
from mailproxy.observed.world import World
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


class MountFault(StrEnum):
    """What is wrong with a mount."""

    MISSING = "missing"
    OTHER_CONTENT = "other content"
    NEVER_UPDATED = "never updated"


@dataclass(frozen=True)
class WrongMount:
    """A mount that should be (`wanted`), what is wrong with it, and at which `path`."""

    wanted: Mount
    fault: MountFault
    path: str


def find_wrong_mounts(pod: Pod, container: Container, wanted: Wanted) -> list[WrongMount]:
    """Mounts that `container` lacks or has with something else."""
    volumes = {volume.name: volume for volume in pod.volumes}
    mounts = {mount.path: mount for mount in container.mounts}
    *files, trust = wanted.mounts
    found = [
        WrongMount(mount, fault, mount.path)
        for mount in files
        if (fault := _check_file(mount, mounts, volumes, wanted.overrides))
    ]
    wrong = _check_trust(trust, container.mounts, volumes, wanted)
    return [*found, wrong] if wrong else found


def _override(file: str) -> str:
    return join(OVERRIDES_DIRECTORY, file)


def _check_file(
    wanted: Mount, mounts: dict[str, Mount], volumes: dict[str, Volume], config_map: str
) -> MountFault | None:
    """What is wrong with one file of the overrides."""
    file = wanted.sub_path
    mount = mounts.get(wanted.path)
    if mount is not None:
        volume = volumes.get(mount.volume)
        is_right = volume and volume.holds(mount.sub_path, config_map, file)
        return None if is_right else MountFault.OTHER_CONTENT
    folder = mounts.get(OVERRIDES_DIRECTORY)
    volume = volumes.get(folder.volume) if folder else None
    if folder and volume and volume.holds(join(folder.sub_path, file), config_map, file):
        return None
    return MountFault.MISSING


def _check_trust(
    wanted: Mount, mounts: Iterable[Mount], volumes: dict[str, Volume], all_wanted: Wanted
) -> WrongMount | None:
    """What is wrong with the directory of trust."""
    inside = [m for m in mounts if m.path == wanted.path or m.path.startswith(f"{wanted.path}/")]
    frozen = [mount for mount in inside if mount.sub_path]
    if frozen:
        return WrongMount(wanted, MountFault.NEVER_UPDATED, frozen[0].path)
    whole = next((mount for mount in inside if mount.path == wanted.path), None)
    if whole is None:
        return WrongMount(wanted, MountFault.MISSING, wanted.path)
    volume = volumes.get(whole.volume)
    name, files = all_wanted.trust, all_wanted.trust_files
    if volume and all(volume.holds(file, name, file) for file in files):
        return None
    return WrongMount(wanted, MountFault.OTHER_CONTENT, wanted.path)


def find_container(pod: Pod, name: str | None) -> Container | None:
    """The container in which the mail server runs: the one of that name, without name the first."""
    return next((c for c in pod.containers if name in (None, c.name)), None)


def find_wanted(proxy: MailProxy, world: World, plan: Plan) -> Wanted | None:
    """What is to be mounted: the files that the ConfigMaps have; None before they have any."""
    overrides, trust = proxy.overrides_name, proxy.trust_name
    files = {}
    for name in (overrides, trust):
        child = world.children.get(ObjectRef("ConfigMap", name))
        files[name] = plan.find_files(name) or (child.files if child else ())
    if not all(files.values()):
        return None
    return Wanted(overrides, files[overrides], trust, files[trust])
