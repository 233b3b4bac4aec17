"""Builds the programs that a pinned Go module names, each once, into the cache."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.cache import cache_dir, locked
from tests.controlplane.gomod import GoModule, Progress
from tests.controlplane.progress import announce

STRIPPED = "-s -w"  # no debug data: half the size


@dataclass(frozen=True)
class Programs:
    """What is built from one folder of `tests/tools`.

    Attributes:
        requirement: The required module whose version counts, e.g. `k8s.io/kubernetes`.
        packages: Go packages by the names of their programs.
        cost: What a first build takes, for the announcement.
    """

    module: GoModule
    requirement: str
    packages: Mapping[str, str]
    cost: str
    ldflags: str = STRIPPED
    tags: str = ""

    @property
    def version(self) -> str:
        """Such as `v1.36.3`."""
        return self.module.version_of(self.requirement)

    @property
    def folder(self) -> Path:
        """Where they are kept; of another version is another folder."""
        return cache_dir() / "tools" / f"{self.module.folder.name}-{self.version}"

    def ensure(self, names: Iterable[str] = ()) -> dict[str, Path]:
        """Build those that are missing, all with one call of Go, and return the paths by name.

        Args:
            names: Only these; all of them when there is none.

        Raises:
            ToolError: Go failed; the message says how to fix it.
        """
        paths = {name: self.folder / name for name in names or self.packages}
        if not all(path.exists() for path in paths.values()):
            with locked(self.folder):  # another process may be faster
                self._build([name for name, path in paths.items() if not path.exists()])
        return paths

    def _build(self, missing: Sequence[str]) -> None:
        unfinished = f".building-{self.folder.name}-"
        for left_over in self.folder.parent.glob(f"{unfinished}*"):  # by a killed process
            shutil.rmtree(left_over)
        if not missing:
            return
        announce(
            f"Building {', '.join(missing)} {self.version} into {self.folder}."
            f" Once only: {self.cost}."
        )
        self.folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=unfinished, dir=self.folder.parent) as fresh:
            self._go_build([self.packages[name] for name in missing], Path(fresh))
            for name in missing:  # each appears complete or not at all
                (Path(fresh) / _file_name(self.packages[name])).replace(self.folder / name)

    def _go_build(self, packages: Sequence[str], output: Path) -> None:
        tags = [f"-tags={self.tags}"] if self.tags else []
        needed = self.module.go("list", "-deps", *tags, *packages, title="Fetching sources")
        self.module.go(
            *("build", "-v", "-trimpath", "-ldflags", self.ldflags, *tags),
            *("-o", f"{output}/", *packages),
            title="Building",
            progress=Progress(expected=len(needed.split())),
        )


def _file_name(package: str) -> str:
    """What Go calls a program: the last part of its path that is no major version."""
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]
