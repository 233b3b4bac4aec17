"""The operator as its own process beside a control plane; it cannot outlive its starter."""

import os
import re
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from tests.controlplane.api import wait_for
from tests.controlplane.processes import ProcessGroup, Server, stop_servers

READY_SECONDS = 30.0
_PORT = re.compile(r"health on port (\d+)")


class OperatorProcess:
    """`mailproxy run` with a kubeconfig, on a free port; a context manager."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._group: ProcessGroup | None = None
        self._server: Server | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and return when it is ready: all its caches have been filled."""
        self.launch()
        wait_for(
            lambda: self.probe("/readyz") == "ok" or self.has_ended,
            READY_SECONDS,
            lambda: f"the operator is not ready: {self.probe('/readyz')}",
        )
        assert not self.has_ended, f"the operator ended:\n{self.log[-2000:]}"
        return self

    def ensure_running(self) -> None:
        """Start it unless it runs."""
        if self.has_ended:
            self.stop()
            self.start()

    def launch(self) -> None:
        """Start it and return at once."""
        self._group = ProcessGroup()
        program = [sys.executable, "-m", "mailproxy", "run"]
        options = ["--kubeconfig", str(self._kubeconfig), "--port", "0"]
        self._server = Server([*program, *options], self._log, self._group)

    def stop(self, grace_seconds: float = 10.0) -> None:
        """End it by SIGTERM, and by SIGKILL after `grace_seconds`; with 0 at once by SIGKILL."""
        if self._server and self._group:
            stop_servers([self._server], grace_seconds)
            self._group.kill()
            self._server = self._group = None

    def terminate(self) -> None:
        """Ask it to end, by SIGTERM."""
        assert self._server, "the operator is not started"
        self._server.terminate()

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._server.exit_code if self._server else None

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._server is None or self._server.has_ended()

    @property
    def memory(self) -> int:
        """MiB that it holds now; Linux only."""
        assert self._server, "the operator is not started"
        pages = Path(f"/proc/{self._server.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") >> 20

    @property
    def log(self) -> str:
        """All that it and its predecessors have logged."""
        return self._log.read_text() if self._log.exists() else ""

    def probe(self, path: str) -> str:
        """Body of a probe's answer; empty while it does not listen."""
        ports = _PORT.findall(self._server.output(lines=10_000)) if self._server else []
        if not ports:
            return ""
        connection = HTTPConnection("127.0.0.1", int(ports[-1]), timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except OSError:
            return ""
        finally:
            connection.close()
