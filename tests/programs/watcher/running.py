"""Runs the watcher as a process, with private paths and a mount that the test exchanges."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane.api import wait_for
from tests.programs.mail_programs import find_program, leave_out
from tests.programs.watcher.fake_mount import mount_files

from mailproxy.plan.mail_server.templates import load_watcher

SECONDS = 10.0
PATHS = ("/etc/mailproxy", "/etc/fail2ban", "/run/dovecot", "/run/fail2ban")
NOBODY = "haproxy_trusted_networks =\n"


class Watcher:
    """A watcher whose paths are below `root`; `root/programs` comes first in its PATH.

    Attributes:
        wrapper: A command that runs it, such as `unshare --net`.
    """

    def __init__(self, root: Path, *, poll_seconds: str = "0.01") -> None:
        if sys.platform != "linux":
            leave_out("the watcher needs Linux")
        self.root = root
        self.wrapper: list[str] = []
        self.state = root / "etc/mailproxy"
        self.programs = root / "programs"
        self.copy = self.state / "dovecot-trust.conf"
        self._path = root / "mailproxy-watcher"
        self._log = root / "log"
        self._process: subprocess.Popen[bytes] | None = None
        for path in (*PATHS, "/programs"):
            (root / path[1:]).mkdir(parents=True)
        text = re.sub(r"\bPOLL_SECONDS=\S+", f"POLL_SECONDS={poll_seconds}", load_watcher())
        text = re.sub(r"RELOAD_POLLS=\d+", "RELOAD_POLLS=400", text)
        for path in PATHS:
            text = text.replace(path, f"{root}{path}")
        self._path.write_text(text)
        self._path.chmod(0o755)
        self._log.touch()
        # The real ones would change this machine.
        for name in ("nft", "doveadm", "doveconf", "fail2ban-client"):
            self.fake(name, f"echo {name} is not here >&2; exit 1")

    def retry_after(self, polls: int) -> None:
        """Set how soon it retries what failed."""
        text = self._path.read_text()
        self._path.write_text(re.sub(r"RETRY_POLLS=\d+", f"RETRY_POLLS={polls}", text))

    def fake(self, name: str, script: str) -> None:
        """Put a program into its PATH."""
        path = self.programs / name
        path.with_suffix(".new").write_text(f"#!/bin/bash\n{script}\n")
        path.with_suffix(".new").chmod(0o755)
        path.with_suffix(".new").replace(path)

    def mount(self, trust: str | Sequence[str], clients: Sequence[str] | str | None = None) -> None:
        """Exchange the mount; lists of networks are written as the operator writes them."""
        if not isinstance(trust, str):
            trust = f"haproxy_trusted_networks = {' '.join(trust)}".rstrip() + "\n"
        files = {"dovecot-trust.conf": trust}
        if clients is not None:
            text = clients if isinstance(clients, str) else " ".join(clients) + "\n"
            files["internal-clients"] = text
        self.mount_files(files)

    def mount_files(self, files: Mapping[str, str]) -> None:
        """Exchange the mount for these files."""
        mount_files(self.state / "trust", files)

    def run_once(self, *options: str) -> str:
        """Run it as before the start of the mail server; returns what it logs."""
        result = subprocess.run(
            [*self.wrapper, str(self._path), "--once", *options],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode, result.stdout) == (0, "")
        return result.stderr

    def start(self, *options: str) -> None:
        """Run it until `stop`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.wrapper, str(self._path), *options],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """Stop it as supervisord does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(SECONDS)
            self._process = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> list[str]:
        """Lines that it has printed since its first start."""
        return self._log.read_text().splitlines()

    def wait_for_line(self, words: str, count: int = 1) -> str:
        """Wait until so many lines of its log contain `words`; returns the last of them."""

        def find() -> list[str]:
            lines = [line for line in self.log() if words in line]
            return lines if len(lines) >= count else []

        return wait_for(find, SECONDS, lambda: self.log(), interval=0.01)[-1]

    def wait_for_copy(self, text: str) -> None:
        """Wait until Dovecot's file is this."""
        wait_for(
            lambda: self.copy.exists() and self.copy.read_text() == text,
            SECONDS,
            lambda: (self.copy.exists() and self.copy.read_text(), self.log()),
            interval=0.01,
        )

    def _environment(self) -> dict[str, str]:
        path = f"{self.programs}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        return {"PATH": path}


@contextmanager
def running_watcher() -> Iterator[Watcher]:
    """A watcher that is not started yet, and stopped in the end."""
    find_program("bash")
    with tempfile.TemporaryDirectory() as directory:
        watcher = Watcher(Path(directory))
        try:
            yield watcher
        finally:
            watcher.stop()
