"""How `user-patches.sh`, run by bash, installs the watcher in the container."""

import configparser
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.programs.mail_programs import Postfix, find_program, private_postfix

from mailproxy.api.mail_services import MAIL_SERVICES, Listeners
from mailproxy.plan.mail_server.overrides import render_overrides
from mailproxy.plan.mail_server.templates import load_watcher

PROGRAM = "usr/local/bin/mailproxy-watcher"
ENTRY = "etc/supervisor/conf.d/mailproxy-watcher.conf"


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with private_postfix() as postfix:
        yield postfix


def root(postfix: Postfix) -> Path:
    return postfix.main_cf.parent / "root"


def patch(
    postfix: Postfix, listeners: Listeners = Listeners.SEPARATE, **options: bool
) -> subprocess.CompletedProcess[str]:
    files = render_overrides(listeners, MAIL_SERVICES, **options)
    return postfix.run_script(files["user-patches.sh"])


def read_command(postfix: Postfix) -> list[str]:
    """The command that supervisord runs."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(root(postfix) / ENTRY)
    return parser["program:mailproxy-watcher"]["command"].split()


def test_program_is_installed_and_the_list_written_at_once(postfix: Postfix) -> None:
    assert patch(postfix).returncode == 0
    program = root(postfix) / PROGRAM
    assert program.stat().st_mode & 0o111
    assert program.read_text().count("\n") == load_watcher().count("\n")
    trust = root(postfix) / "etc/mailproxy/dovecot-trust.conf"
    assert trust.read_text() == "haproxy_trusted_networks =\n"


@pytest.mark.parametrize("reload", [True, False])
@pytest.mark.parametrize("firewall", [True, False])
@pytest.mark.parametrize("listeners", Listeners)
def test_supervisord_runs_it_with_the_options_of_the_spec(
    postfix: Postfix, listeners: Listeners, firewall: bool, reload: bool
) -> None:
    patch(postfix, listeners, firewall=firewall, reload=reload)
    program, *options = read_command(postfix)
    assert program == str(root(postfix) / PROGRAM)
    assert ("--reload" in options) == reload
    guards = [option for option in options if option.startswith("--firewall=")]
    assert bool(guards) == (firewall and listeners == Listeners.SEPARATE)
    for option in guards:
        assert "10587" in option.partition("=")[2].split(",")


def test_second_run_writes_the_same_files(postfix: Postfix) -> None:
    patch(postfix)
    files = [root(postfix) / PROGRAM, root(postfix) / ENTRY]
    before = [file.read_bytes() for file in files]
    assert patch(postfix).returncode == 0
    assert [file.read_bytes() for file in files] == before


def test_failure_of_supervisorctl_is_logged_and_ports_are_added(
    postfix: Postfix,
) -> None:
    refuse = postfix.programs / "supervisorctl"
    refuse.write_text("#!/bin/sh\nexit 2\n")
    refuse.chmod(0o755)
    result = patch(postfix)
    assert result.returncode == 1
    assert "mailproxy: the running mail server does not follow the edge" in result.stderr
    assert "10587/inet" in postfix.programs_by_service()


@pytest.mark.parametrize("program", ["bash -n", "shellcheck"])
def test_program_is_clean_shell(program: str, tmp_path: Path) -> None:
    path = tmp_path / "mailproxy-watcher"
    path.write_text(load_watcher())
    name, *options = program.split()
    result = subprocess.run(
        [find_program(name), *options, str(path)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
