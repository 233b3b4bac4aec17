"""Runs the programs of others that build images: with signs of life, and their last words."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.controlplane.gomod import ToolError
from tests.controlplane.processes import ProcessGroup
from tests.controlplane.progress import Heartbeat

TAIL_LINES = 20
# They mount folders of the machine: whatever ends them, that must be undone before any folder of
# theirs is removed.
_OWN_MOUNTS = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


def run_command(
    command: Sequence[str], *, title: str, remedy: str, environment: Mapping[str, str]
) -> str:
    """Run a program as root and return its standard output; `environment` is added to ours.

    It has mounts and processes of its own, none of which outlives it.

    Raises:
        ToolError: It failed. The message has the last lines of its log, and `remedy`.
    """
    group = ProcessGroup()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
        try:
            process = subprocess.Popen(
                [*_OWN_MOUNTS, *command],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                process_group=group.id,
            )
            with Heartbeat(title):
                code = process.wait()
        finally:
            group.kill()  # when we are interrupted, it ends too
        if code == 0:
            output.seek(0)
            return output.read()
        log.seek(0)
        tail = "\n  ".join(log.read().splitlines()[-TAIL_LINES:])
    name = Path(command[0]).name
    raise ToolError(f"{title} failed: {name} ended with {code}:\n  {tail}\nRemedy: {remedy}")
