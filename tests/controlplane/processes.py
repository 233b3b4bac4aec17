"""Child processes that cannot outlive the one that started them."""

import subprocess
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

# Reads until its standard input ends, then kills every member of its process group, itself too.
LEADER = ["/bin/sh", "-c", "read -r _; kill -s KILL 0"]


class ProcessGroup:
    """Servers that end with us, however we end: also by SIGKILL, on Linux and on macOS.

    The group's leader is a shell that reads from a pipe whose other end only we hold. When we are
    gone, the kernel closes our end, and the shell kills the group. As the group is not the one in
    the terminal's foreground, Ctrl-C reaches us alone, and we stop the servers in good order.
    """

    def __init__(self) -> None:
        self._leader = subprocess.Popen(LEADER, stdin=subprocess.PIPE, process_group=0)

    @property
    def id(self) -> int:
        """Number of the group, and the process id of its leader."""
        return self._leader.pid

    def kill(self) -> None:
        """Kill all members at once."""
        assert self._leader.stdin
        self._leader.stdin.close()
        self._leader.wait()


class Server:
    """A running program of a `ProcessGroup`; all that it prints is added to the file `log`."""

    def __init__(self, command: Sequence[str | Path], log: Path, group: ProcessGroup) -> None:
        self.log = log
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=group.id,
            )

    @property
    def pid(self) -> int:
        """Process id; still known when the process has ended."""
        return self._process.pid

    @property
    def name(self) -> str:
        """Name of the program."""
        return self.log.stem

    def has_ended(self) -> bool:
        """Whether the process is gone; a process that ended is reaped here."""
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """As `subprocess.Popen.returncode`, once `has_ended` has said so."""
        return self._process.returncode

    def output(self, lines: int = 20) -> str:
        """Last lines that this run has printed."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return b"".join(deque(log, maxlen=lines)).decode(errors="replace")

    def terminate(self) -> None:
        """Ask it to end, by SIGTERM."""
        self._process.terminate()

    def kill_after(self, seconds: float) -> None:
        """Wait for its end, which comes by SIGKILL after so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def stop_servers(servers: Iterable[Server], grace_seconds: float) -> None:
    """Ask all to end, and kill those that still run after `grace_seconds`; with 0, kill at once."""
    servers = list(servers)
    deadline = time.monotonic() + grace_seconds
    if grace_seconds:
        for server in servers:
            server.terminate()
    for server in servers:
        server.kill_after(max(0.0, deadline - time.monotonic()))
