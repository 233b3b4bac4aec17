"""The programs of a control plane: found on this machine, or built once into a cache.

`python -m tests.controlplane.binaries` makes everything ready and says where it is.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.controlplane.build import STRIPPED, Programs
from tests.controlplane.crds import traefik_crds, traefik_crds_file
from tests.controlplane.gomod import TOOLS, GoModule, ToolError, Version, parse_version

__all__ = ["Binaries", "ToolError", "traefik_crds", "traefik_crds_file"]

PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
PAIR = ("kube-apiserver", "kube-controller-manager")  # of one minor release, or both are ours
OLDEST: Version = (1, 31, 0)  # the first Kubernetes with CEL's IP library, which our CRD needs


def pinned_kubernetes(packages: Mapping[str, str]) -> Programs:
    """Programs of the Kubernetes that `tests/tools` pins; they say so when asked for the version.

    Without the version `kubectl version` fails to parse what the API server says.
    """
    module, requirement = GoModule(TOOLS / "kubernetes"), "k8s.io/kubernetes"
    version = module.version_of(requirement)
    major, minor, _ = version.removeprefix("v").split(".")
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    settings = [f"-X k8s.io/component-base/version.{key}={value}" for key, value in facts.items()]
    cost = "some 8 minutes with two free cores, 4 GB of disk"
    return Programs(module, requirement, packages, cost, " ".join([STRIPPED, *settings]))


PINNED = pinned_kubernetes(PACKAGES)


@dataclass(frozen=True)
class Binaries:
    """Paths of the programs by name: etcd, kube-apiserver, kube-controller-manager, kubectl."""

    paths: dict[str, Path]

    @classmethod
    def ensure(cls) -> Self:
        """Find the programs; build those that are missing, which takes minutes and says so.

        Each is looked for in `$KUBEBUILDER_ASSETS`, then in our cache, then on PATH.

        Raises:
            ToolError: Something could not be built; the message says how to fix it.
        """
        paths = {name: path for name in PACKAGES if (path := find_program(name))}
        if len({_minor_release(paths.get(name)) for name in PAIR}) > 1:
            paths = {name: path for name, path in paths.items() if name not in PAIR}
        if missing := [name for name in PACKAGES if name not in paths]:
            paths |= PINNED.ensure(missing)
        return cls(paths)

    def path(self, name: str) -> Path:
        """Path of one program."""
        return self.paths[name]


def find_program(name: str) -> Path | None:
    """The first that is there and not too old."""
    return next((path for path in _candidates(name) if _is_usable(name, path)), None)


def _candidates(name: str) -> Iterator[Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in [assets and str(Path(assets).resolve()), str(PINNED.folder), os.environ["PATH"]]:
        if folder and (found := shutil.which(name, path=folder)):
            yield Path(found)


def _is_usable(name: str, path: Path) -> bool:
    """Whether we support its version; any etcd will do, and what we built is right."""
    if name == "etcd" or path.parent == PINNED.folder:
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
    found = path if path and path.parent != PINNED.folder else None
    version = program_version(found) if found else parse_version(PINNED.version)
    return version[:2] if version else ()


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
