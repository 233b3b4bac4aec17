"""The programs of a control plane: found on this machine, or built once into a cache.

`python -m tests.controlplane.binaries` makes everything ready and says where it is.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.controlplane.cache import cache_dir, locked
from tests.controlplane.crds import traefik_crds, traefik_crds_file
from tests.controlplane.gomod import TOOLS, GoModule, Progress, ToolError, Version, parse_version
from tests.controlplane.progress import announce

__all__ = ["Binaries", "ToolError", "traefik_crds", "traefik_crds_file"]

MODULE = GoModule(TOOLS / "kubernetes")
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
PAIR = ("kube-apiserver", "kube-controller-manager")  # of one minor release, or both are ours
OLDEST: Version = (1, 31, 0)  # the first Kubernetes with CEL's IP library, which our CRD needs


@dataclass(frozen=True)
class Binaries:
    """Paths of the programs by name: etcd, kube-apiserver, kube-controller-manager, kubectl."""

    paths: dict[str, Path]

    @classmethod
    def ensure(cls) -> Self:
        """Find the programs; build those that are missing, which takes minutes and says so.

        Each is looked for in `$KUBEBUILDER_ASSETS`, then in our cache, then on PATH.

        Raises:
            ToolError: Something could not be built; the message names the remedy.
        """
        paths = {name: path for name in PACKAGES if (path := find_program(name))}
        if len({_minor_release(paths.get(name)) for name in PAIR}) > 1:
            paths = {name: path for name, path in paths.items() if name not in PAIR}
        if missing := [name for name in PACKAGES if name not in paths]:
            build_programs(missing)
        return cls({name: paths.get(name, built_folder() / name) for name in PACKAGES})

    def path(self, name: str) -> Path:
        """Path of one program."""
        return self.paths[name]


def built_folder() -> Path:
    """Where our own builds of the pinned Kubernetes are kept."""
    return cache_dir() / "tools" / f"kubernetes-{pinned_version()}"


def pinned_version() -> str:
    """Version of Kubernetes that we build, such as `v1.36.3`."""
    return MODULE.version_of("k8s.io/kubernetes")


def find_program(name: str) -> Path | None:
    """The first that is there and not too old."""
    return next((path for path in _candidates(name) if _is_usable(name, path)), None)


def _candidates(name: str) -> Iterator[Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in [assets and str(Path(assets).resolve()), str(built_folder()), os.environ["PATH"]]:
        if folder and (found := shutil.which(name, path=folder)):
            yield Path(found)


def _is_usable(name: str, path: Path) -> bool:
    """Whether we support its version; any etcd will do, and what we built is right."""
    if name == "etcd" or path.parent == built_folder():
        return True
    version = program_version(path)
    return version is not None and version >= OLDEST


def program_version(path: Path) -> Version | None:
    """What a program of Kubernetes says about itself; None when it says nothing or does not run."""
    question = ["version", "--client"] if path.name == "kubectl" else ["--version"]
    try:
        answer = subprocess.run([path, *question], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(answer.stdout) if answer.returncode == 0 else None


def _minor_release(path: Path | None) -> tuple[int, ...]:
    """`(1, 36)`, of a program that we found; of our own builds, if there is no other."""
    found = path if path and path.parent != built_folder() else None
    version = program_version(found) if found else parse_version(pinned_version())
    return version[:2] if version else ()


def build_programs(names: Sequence[str]) -> None:
    """Build those of the programs that are not in the cache, all with one call of Go."""
    folder = built_folder()
    with locked(folder):
        missing = [name for name in names if not (folder / name).exists()]
        if not missing:  # another process was faster
            return
        unfinished = f".building-{folder.name}-"
        for left_over in folder.parent.glob(f"{unfinished}*"):  # by a killed process
            shutil.rmtree(left_over)
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=unfinished, dir=folder.parent) as fresh:
            _go_build(missing, Path(fresh))
            for name in missing:  # each appears complete or not at all
                (Path(fresh) / _file_name(PACKAGES[name])).replace(folder / name)


def _go_build(names: Sequence[str], output: Path) -> None:
    version = pinned_version()
    announce(
        f"Building {', '.join(names)} of Kubernetes {version} into {built_folder()}."
        " Once only: some 8 minutes with two free cores, 4 GB of disk."
    )
    packages = [PACKAGES[name] for name in names]
    needed = MODULE.go("list", "-deps", *packages, title="Fetching sources")
    MODULE.go(
        *("build", "-v", "-trimpath", "-ldflags", _ldflags(version)),
        *("-o", f"{output}/", *packages),
        title="Building",
        progress=Progress(expected=len(needed.split())),
    )


def _ldflags(version: str) -> str:
    """Leave out debug data; say the version, which `kubectl version` must be able to parse."""
    major, minor, _ = version.removeprefix("v").split(".")
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    settings = [f"-X k8s.io/component-base/version.{key}={value}" for key, value in facts.items()]
    return " ".join(["-s", "-w", *settings])


def _file_name(package: str) -> str:
    """What Go calls a program: the last part of its path that is no major version."""
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]


def main() -> int:
    """Make everything ready, print where it is."""
    try:
        programs = Binaries.ensure().paths
        crds = traefik_crds_file()
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next try goes on from here.", file=sys.stderr)
        return 130
    for name, path in [*programs.items(), ("Traefik's CRDs", crds)]:
        print(f"{name:<24} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
