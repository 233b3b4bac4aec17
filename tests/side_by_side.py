"""`make test`: tests that wait (tests/e2e) run beside those that compute, in two pytest processes.

The output of those that compute is shown as it comes, that of the others in one piece behind it.
The end says how both went. Arguments go to both; paths of tests among them choose what is run.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

from tests.controlplane.processes import ProcessGroup

COMPUTING = ["tests/unit", "tests/programs", "tests/engine", "tests/integration"]
WAITING = ["tests/e2e"]
NOTHING_CHOSEN = 5  # pytest's exit code when it ran no test
LOOK_SECONDS = 0.2
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Run:
    """One pytest process, whose output goes to a file."""

    paths: Sequence[str]
    process: subprocess.Popen[bytes]
    output: Path

    @classmethod
    def start(
        cls, group: ProcessGroup, folder: Path, paths: Sequence[str], options: Sequence[str]
    ) -> Self:
        """Start pytest as a member of a group that is not the terminal's: Ctrl-C reaches us."""
        name = Path(paths[0]).name
        own = [f"--override-ini=cache_dir=.pytest_cache/{name}"]  # what failed last, of each
        if sys.stdout.isatty():
            own.append("--color=yes")
        output = folder / f"{name}.log"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *own, *paths, *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=group.id,
            )
        return cls(paths, process, output)

    def show(self) -> None:
        """Print the output from its beginning, until the process has ended."""
        print(f"\n== pytest {' '.join(self.paths)}", flush=True)
        with self.output.open("rb") as file:
            has_ended = False
            while not has_ended:
                has_ended = self._has_ended_within(LOOK_SECONDS)
                sys.stdout.write(file.read().decode(errors="replace"))
                sys.stdout.flush()

    def _has_ended_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def interrupt(self) -> None:
        """As Ctrl-C would."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)

    def summary(self) -> str:
        """What failed, and pytest's last line."""
        lines = ANSI.sub("", self.output.read_text(errors="replace")).splitlines()
        failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
        last = next((line for line in reversed(lines) if line.strip()), "no output").strip("= ")
        result = f"{' '.join(self.paths)}: {last} (exit code {self.process.returncode})"
        return "\n".join([*failed, result])


def main(arguments: Sequence[str]) -> int:
    """Run both; return the exit code of the first that failed."""
    paths = [argument for argument in arguments if Path(argument).parts[:1] == ("tests",)]
    options = [argument for argument in arguments if argument not in paths]
    group = ProcessGroup()
    try:
        with tempfile.TemporaryDirectory() as folder:
            runs = [Run.start(group, Path(folder), part, options) for part in split(paths)]
            signals = forward_signals(runs)
            for run in runs:
                run.show()
            print("\n== make test", *(run.summary() for run in runs), sep="\n")
            return 128 + signals[0] if signals else exit_code([r.process.returncode for r in runs])
    finally:
        group.kill()


def split(paths: Sequence[str]) -> list[list[str]]:
    """The chosen paths by process, the one that computes first; without any path, all tests."""
    if not paths:
        return [COMPUTING, WAITING]
    waiting = [path for path in paths if any(path.startswith(folder) for folder in WAITING)]
    computing = [path for path in paths if path not in waiting]
    return [part for part in (computing, waiting) if part]


def forward_signals(runs: Sequence[Run]) -> list[int]:
    """Interrupt all runs at Ctrl-C and at SIGTERM; returns the list of what has come."""
    received: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        for run in runs:
            run.interrupt()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    return received


def exit_code(codes: Sequence[int]) -> int:
    """Of the first that failed; to run no test is a failure only if both did so."""
    return next((code for code in codes if code not in (0, NOTHING_CHOSEN)), min(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
