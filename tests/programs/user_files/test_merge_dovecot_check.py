"""A `dovecot.cf` of a user's that Dovecot cannot read does not keep Dovecot from starting."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.programs.mail_programs import Dovecot, private_dovecot, privatize

from mailproxy.api.mail_services import Listeners, PortName, find_services
from mailproxy.plan.mail_server.overrides import render_overrides
from mailproxy.plan.user_files.merge import merge_overrides

LOCAL_CONF = "/etc/dovecot/local.conf"
GOOD = "mail_max_userip_connections = 50\n"
UNKNOWN = "mail_debug = yes\nmail_max_userip_conections = 50\n"


@dataclass(frozen=True)
class Server:
    """A Dovecot whose `dovecot.cf` is put in place and checked by our script."""

    dovecot: Dovecot
    directory: Path

    def start(self, own: str, *, local_conf: str | None = None) -> tuple[str, str]:
        """What the script says, and what `local.conf` holds then; it is merged unless given."""
        ours = render_overrides(Listeners.SHARED, find_services(PortName))
        files = merge_overrides(ours, {"dovecot.cf": own}, "own")
        path = self.dovecot.write_local_conf(
            files["dovecot.cf"] if local_conf is None else local_conf
        )
        doveconf = self.directory / "doveconf"
        doveconf.write_text(self.dovecot.doveconf_script())
        doveconf.chmod(0o755)
        assert LOCAL_CONF in files["user-patches.sh"]
        script = privatize(files["user-patches.sh"], self.directory, self.directory)
        script = script.replace(LOCAL_CONF, str(path))
        result = subprocess.run(
            ["/bin/bash", "-c", script],
            env={"PATH": f"{self.directory}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode, result.stdout) == (0, "")
        return result.stderr, path.read_text()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with private_dovecot() as dovecot:
        yield Server(dovecot, tmp_path)


def ours() -> str:
    return render_overrides(Listeners.SHARED, find_services(PortName))["dovecot.cf"]


def test_file_that_dovecot_reads_is_left_as_it_is(server: Server) -> None:
    said, text = server.start(GOOD)
    assert (said, text) == ("", f"{GOOD}\n{ours()}")


@pytest.mark.parametrize(
    ("own", "why"),
    [
        (UNKNOWN, "line 2: Unknown setting: mail_max_userip_conections"),
        ("!include /nonexistent\n", "line 1: No matches"),
        ("mail_debug = perhaps\n", "line 1: Invalid boolean value"),
        ("plugin {\n  a = </nonexistent\n}\n", "Can't open file /nonexistent"),
    ],
)
def test_dovecot_runs_with_our_part_alone_and_the_log_says_why(
    server: Server, own: str, why: str
) -> None:
    said, text = server.start(own)
    assert text == ours()
    assert said.startswith("mailproxy: Dovecot runs without dovecot.cf of ConfigMap own: ")
    assert said.count("\n") == 1
    assert why in said
    assert server.dovecot.find_error() == ""
    assert server.dovecot.listeners()["imap"]["haproxy"] == "yes"


def test_another_check_changes_nothing(server: Server) -> None:
    _, text = server.start(UNKNOWN)
    assert server.start(UNKNOWN, local_conf=text) == ("", text)


def test_file_stays_where_the_fault_is_elsewhere(server: Server) -> None:
    server.dovecot.add_user_settings("no_such_setting = 1\n")
    said, text = server.start(GOOD)
    assert text == f"{GOOD}\n{ours()}"
    assert said.startswith("mailproxy: Dovecot cannot read its configuration: ")
    assert "Unknown setting: no_such_setting" in said


def test_file_that_is_not_from_us_is_left_alone(server: Server) -> None:
    assert server.start(GOOD, local_conf=UNKNOWN) == ("", UNKNOWN)
