"""The watcher with a real Dovecot: whose headers it accepts, and what a bad list does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.controlplane.api import wait_for
from tests.programs.watcher.dovecot_server import SECONDS, DovecotServer, log_in, stopped_in_the_end
from tests.programs.watcher.running import NOBODY, Watcher, running_watcher

EDGE, OTHER = ["127.0.0.1"], ["127.0.0.2", "fd00::2"]
EDGE_TEXT = "haproxy_trusted_networks = 127.0.0.1\n"
OTHER_TEXT = "haproxy_trusted_networks = 127.0.0.2 fd00::2\n"


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with running_watcher() as watcher:
        yield watcher


@pytest.fixture
def dovecot(watcher: Watcher) -> Iterator[DovecotServer]:
    with stopped_in_the_end(watcher.root) as server:
        for name in ("doveadm", "doveconf"):
            watcher.fake(name, server.command(name))
        yield server


def start_both(watcher: Watcher, dovecot: DovecotServer) -> None:
    """As a mail server starts them."""
    watcher.run_once("--reload")
    dovecot.start()
    watcher.start("--reload")


def wait_for_state(dovecot: DovecotServer, state: str) -> None:
    wait_for(lambda: dovecot.try_login_port() == state, SECONDS, lambda: (state, dovecot.log()))


def test_running_dovecot_accepts_headers_from_listed_addresses_only(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    watcher.mount(OTHER)
    watcher.run_once("--reload")
    dovecot.start()
    assert dovecot.try_login_port() == "closed"
    watcher.start("--reload")
    steps = ((EDGE, "greeted"), (OTHER, "closed"), (EDGE, "greeted"), ([], "closed"))
    for number, (networks, state) in enumerate(steps, 1):
        watcher.mount(networks)
        watcher.wait_for_line("Dovecot has reloaded", count=number)
        wait_for_state(dovecot, state)
    assert dovecot.reloads() == len(steps)


def test_no_connection_is_refused_while_dovecot_reloads(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    watcher.mount(EDGE)
    start_both(watcher, dovecot)
    with ThreadPoolExecutor(1) as pool:
        states = pool.submit(lambda: [dovecot.try_login_port() for _ in range(150)])
        for number in range(1, 6):
            watcher.mount([*EDGE, f"10.0.0.{number}"])
            watcher.wait_for_line("Dovecot has reloaded", count=number)
        assert set(states.result()) == {"greeted"}


def test_client_that_has_connected_before_a_reload_can_log_in_after_it(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    """Without the watcher Dovecot closes the connection, or answers `Internal error occurred`."""
    watcher.mount(EDGE)
    start_both(watcher, dovecot)
    with dovecot.connect() as early, dovecot.connect() as client:
        assert log_in(early).startswith("a OK")
        old = dovecot.auth_processes()
        watcher.mount([*EDGE, *OTHER])
        watcher.wait_for_line("Dovecot has reloaded")
        assert not old & dovecot.auth_processes()
        assert log_in(client).startswith("a OK"), dovecot.log()
        early.sendall(b"b NOOP\r\n")
        assert early.recv(500).startswith(b"b OK")


def test_dovecot_that_starts_with_the_list_is_not_reloaded(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    watcher.mount(EDGE)
    watcher.run_once("--reload")
    watcher.start("--reload")
    dovecot.start()
    assert dovecot.try_login_port() == "greeted"
    watcher.mount(OTHER)
    wait_for_state(dovecot, "closed")
    assert dovecot.reloads() == 1


def test_change_before_dovecot_is_up_reaches_it(watcher: Watcher, dovecot: DovecotServer) -> None:
    watcher.mount(OTHER)
    watcher.run_once("--reload")
    watcher.start("--reload")
    watcher.mount(EDGE)
    watcher.wait_for_copy(EDGE_TEXT)
    dovecot.start()
    wait_for_state(dovecot, "greeted")
    wait_for(lambda: dovecot.reloads() == 1, SECONDS, dovecot.log)


def test_change_that_a_killed_watcher_has_not_applied_is_applied_by_the_next(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    watcher.mount(OTHER)
    watcher.run_once("--reload")
    dovecot.start()
    watcher.mount(EDGE)
    watcher.run_once("--reload")  # it writes the file, and ends
    assert dovecot.try_login_port() == "closed"
    watcher.start("--reload")
    wait_for_state(dovecot, "greeted")


def test_without_reload_the_file_follows_and_dovecot_is_left_alone(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    watcher.mount(OTHER)
    watcher.run_once()
    dovecot.start()
    watcher.start()
    watcher.mount(EDGE)
    watcher.wait_for_copy(EDGE_TEXT)
    watcher.wait_for_line("added: 127.0.0.1")
    assert dovecot.reloads() == 0
    assert dovecot.try_login_port() == "closed"


def test_changed_internal_clients_cause_no_reload(watcher: Watcher, dovecot: DovecotServer) -> None:
    watcher.mount(EDGE, ["10.0.0.9"])
    start_both(watcher, dovecot)
    watcher.mount(EDGE, ["10.0.0.8"])
    watcher.wait_for_line("internal clients added: 10.0.0.8")
    assert dovecot.reloads() == 0


def test_list_that_dovecot_cannot_read_is_reverted_and_applied_later(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    watcher.retry_after(20)
    watcher.mount(OTHER)
    start_both(watcher, dovecot)
    dovecot.add_user_settings("no_such_setting = 1\n")
    watcher.mount(EDGE)
    line = watcher.wait_for_line("Dovecot keeps its old list: Fatal: ")
    assert "no_such_setting" in line
    watcher.wait_for_copy(OTHER_TEXT)
    assert dovecot.reloads() == 0
    dovecot.add_user_settings("")
    wait_for_state(dovecot, "greeted")
    watcher.wait_for_line("mailproxy: Dovecot has reloaded")
    assert len([line for line in watcher.log() if "keeps its old list" in line]) == 1


def test_dovecot_that_does_not_reload_gets_its_old_file_back(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    """doveadm succeeds even if its signal has no effect."""
    watcher.mount(OTHER)
    watcher.run_once("--reload")
    dovecot.start()
    watcher.fake("doveadm", "exit 0")
    watcher.start("--reload")
    watcher.mount(EDGE)
    watcher.wait_for_line("Dovecot keeps its old list: it has not reloaded")
    watcher.wait_for_copy(OTHER_TEXT)


def test_empty_list_is_what_dovecot_gets_without_a_mount(
    watcher: Watcher, dovecot: DovecotServer
) -> None:
    watcher.run_once("--reload")
    assert watcher.copy.read_text() == NOBODY
    dovecot.start()
    assert dovecot.try_login_port() == "closed"
