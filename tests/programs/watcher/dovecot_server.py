"""A real Dovecot with one IMAP port that expects a PROXY header; no root is needed.

Everybody may log in, with the password `x`.
"""

import getpass
import grp
import os
import pwd
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane.api import wait_for
from tests.programs.mail_programs import find_program

SECONDS = 10.0
LINE_SECONDS = 5.0
LOGIN_SECONDS = 10.0  # Dovecot connects a login process to auth again after up to five
HEADER = b"PROXY TCP4 203.0.113.7 203.0.113.1 4000 143\r\n"
CONFIG = """\
{versions}base_dir = {root}/run/dovecot
state_dir = {root}/state
log_path = {root}/dovecot.log
listen = 127.0.0.1
protocols = imap
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
    haproxy = yes
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
{users}
shutdown_clients = no
first_valid_uid = 1
haproxy_trusted_networks =
!include_try {root}/etc/mailproxy/dovecot-trust.conf
!include_try {root}/user.conf
"""
USERS = {
    "2.3": """\
disable_plaintext_auth = no
mail_location = maildir:{root}/mail
passdb {{
  driver = static
  args = password=x
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={root}/mail
}}
""",
    "2.4": """\
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {root}/mail
passdb static {{
  password = x
}}
userdb static {{
  fields {{
    uid = {user}
    gid = {group}
    home = {root}/mail
  }}
}}
""",
}
VERSIONS = {
    "2.3": "",
    "2.4": "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n",
}


class DovecotServer:
    """Not started at first; its configuration includes the watcher's file below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._program = find_program("dovecot")
        self._config = root / "dovecot.conf"
        self._process: subprocess.Popen[bytes] | None = None
        (root / "state").mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        answer = subprocess.run(
            [self._program, "--version"], capture_output=True, text=True, check=True
        )
        version = answer.stdout[:3]
        user = getpass.getuser() if os.geteuid() else "nobody"  # its login processes refuse root
        root.chmod(0o755)
        (root / "mail").mkdir()
        shutil.chown(root / "mail", user)
        names = {
            "root": root,
            "user": user,
            "group": grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name,
        }
        users, versions = USERS[version].format(**names), VERSIONS[version]
        text = CONFIG.format(port=self.port, users=users, versions=versions, **names)
        self._config.write_text(text)

    def command(self, name: str) -> str:
        """Script that runs one of Dovecot's programs with this configuration."""
        return f'exec {find_program(name)} -c {self._config} "$@"'

    def add_user_settings(self, text: str) -> None:
        """Replace the rest of its configuration."""
        (self._root / "user.conf").write_text(text)

    def start(self) -> None:
        """Return when it listens."""
        self._process = subprocess.Popen(
            [self._program, "-F", "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: self.try_login_port() != "refused", SECONDS, self.log)

    def stop(self) -> None:
        """Return when it has ended."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(SECONDS)
            self._process = None

    def log(self) -> str:
        """All that it has logged."""
        path = self._root / "dovecot.log"
        return path.read_text() if path.exists() else ""

    def reloads(self) -> int:
        """How often it has reloaded."""
        return len(re.findall("SIGHUP received", self.log()))

    def auth_processes(self) -> set[str]:
        """Running processes that check passwords, by process id."""
        assert self._process is not None
        parent = str(self._process.pid)
        command = ["ps", "-o", "pid=,state=,comm=", "--ppid", parent]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = [line.split() for line in answer.stdout.splitlines()]
        return {pid for pid, state, *name in rows if name == ["auth"] and state != "Z"}

    def try_login_port(self) -> str:
        """`greeted` if it accepts headers from 127.0.0.1, `closed` if not, `refused` if down."""
        try:
            with self.connect():
                return "greeted"
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "closed"

    @contextmanager
    def connect(self) -> Iterator[socket.socket]:
        """A client that has been greeted.

        Raises:
            OSError: It was not.
        """
        with socket.create_connection(("127.0.0.1", self.port), LINE_SECONDS) as client:
            client.sendall(HEADER)
            if not client.recv(500):
                raise ConnectionResetError("no greeting")
            yield client


def log_in(client: socket.socket) -> str:
    """What the server says to a login; empty if it hangs up."""
    client.settimeout(LOGIN_SECONDS)
    client.sendall(b"a LOGIN user x\r\n")
    with client.makefile("rb") as lines:
        return next((line.decode() for line in lines if line.startswith(b"a ")), "")


@contextmanager
def stopped_in_the_end(root: Path) -> Iterator[DovecotServer]:
    """A Dovecot that is not started yet."""
    server = DovecotServer(root)
    try:
        yield server
    finally:
        server.stop()
