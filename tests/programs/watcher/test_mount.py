"""How the watcher reads the mounted list, and what it logs; no mail program runs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.controlplane.api import wait_for
from tests.programs.watcher.running import NOBODY, SECONDS, Watcher, running_watcher

OLD, NEW = ["10.0.0.1", "fd00::1"], ["10.0.0.1", "10.0.0.2", "fd00::2"]
OLD_TEXT = "haproxy_trusted_networks = 10.0.0.1 fd00::1\n"
NEW_TEXT = "haproxy_trusted_networks = 10.0.0.1 10.0.0.2 fd00::2\n"
LOGIN = "login_trusted_networks = 10.0.0.9\n"


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with running_watcher() as watcher:
        watcher.fake("doveconf", "true")
        yield watcher


def test_list_exists_before_the_mail_server_starts(watcher: Watcher) -> None:
    watcher.mount(OLD)
    output = watcher.run_once("--reload")
    assert output == "mailproxy: trusted proxies added: 10.0.0.1, fd00::1\n"
    assert watcher.copy.read_text() == OLD_TEXT
    assert watcher.run_once("--reload") == ""


def test_new_list_is_applied_and_logged_in_one_line(watcher: Watcher) -> None:
    watcher.mount(OLD, ["10.0.0.9"])
    watcher.run_once()
    watcher.start()
    watcher.mount(NEW, ["10.0.0.8"])
    watcher.wait_for_copy(NEW_TEXT)
    watcher.wait_for_line("added")
    assert watcher.log() == [
        "mailproxy: trusted proxies added: 10.0.0.2, fd00::2; trusted proxies removed: fd00::1;"
        " internal clients added: 10.0.0.8; internal clients removed: 10.0.0.9"
    ]


def test_empty_list_trusts_nobody(watcher: Watcher) -> None:
    watcher.mount(OLD)
    watcher.run_once()
    watcher.start()
    watcher.mount([])
    watcher.wait_for_copy(NOBODY)


def test_clients_that_forward_addresses_are_in_dovecots_file(watcher: Watcher) -> None:
    watcher.mount(OLD_TEXT + LOGIN, ["10.0.0.9"])
    watcher.run_once()
    assert watcher.copy.read_text() == OLD_TEXT + LOGIN


def test_nobody_may_forward_addresses_without_such_a_client(watcher: Watcher) -> None:
    watcher.mount(f"{OLD_TEXT}login_trusted_networks =\n", [])
    watcher.run_once()
    assert watcher.copy.read_text() == f"{OLD_TEXT}login_trusted_networks =\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "haproxy_trusted_networks",
        OLD_TEXT.rstrip("\n"),
        OLD_TEXT[:-4],
        f"{OLD_TEXT}login_trusted_net",
        f"{OLD_TEXT}{LOGIN.rstrip()}",
        f"{OLD_TEXT}login_trusted_networks = \n",
        f"{OLD_TEXT}login_trusted_networks = nobody\n",
        f"{OLD_TEXT}{LOGIN}{LOGIN}",
        f"{OLD_TEXT}\n",
        f"{OLD_TEXT}mail_debug = yes\n",
        f"{LOGIN}{OLD_TEXT}",
        f"# mine\n{OLD_TEXT}",
        "haproxy_trusted_networks =  10.0.0.1\n",
        "haproxy_trusted_networks = 10.0.0.1  10.0.0.2\n",
        "haproxy_trusted_networks = 10.0.0.1 \n",
        "haproxy_trusted_networks = 10.0.0.1\t10.0.0.2\n",
        "haproxy_trusted_networks = 10.0.0.1,10.0.0.2\n",
        "haproxy_trusted_networks = 10.0.0.1\r\n",
        "haproxy_trusted_networks = 10.0.0.1\0002\n",
        "haproxy_trusted_networks = 10.0.0.999 10.0.0.2\n",
        "haproxy_trusted_networks = 0.0.0.0/0\n",
        "haproxy_trusted_networks = *\n",
        "haproxy_trusted_networks = </etc/passwd\n",
        "haproxy_trusted_networks = $(touch /tmp/x)\n",
        f"haproxy_trusted_networks = {'10.0.0.1 ' * 30000}10.0.0.2\n",
    ],
    ids=lambda text: repr(text[:50]),
)
def test_incomplete_or_invalid_list_changes_nothing_and_is_logged_once(
    watcher: Watcher, text: str
) -> None:
    watcher.mount(OLD)
    watcher.run_once()
    watcher.mount(text)
    assert "is invalid and changes nothing" in watcher.run_once()
    assert watcher.run_once() == ""
    assert watcher.copy.read_text() == OLD_TEXT


@pytest.mark.parametrize(
    "clients", ["", "10.0.0.9", "10.0.0.9\n\n", "webmail\n", "10.0.0.9\n10.0.0.8\n"]
)
def test_invalid_internal_clients_keep_the_proxies_too(watcher: Watcher, clients: str) -> None:
    watcher.mount(OLD)
    watcher.run_once()
    watcher.mount(NEW, clients)
    assert "is invalid and changes nothing" in watcher.run_once()
    assert watcher.copy.read_text() == OLD_TEXT


def test_missing_file_changes_nothing(watcher: Watcher) -> None:
    watcher.mount(OLD)
    watcher.run_once()
    watcher.mount_files({"internal-clients": "\n"})
    assert "dovecot-trust.conf is missing or incomplete" in watcher.run_once()
    assert watcher.copy.read_text() == OLD_TEXT


def test_running_watcher_continues_after_an_invalid_list(watcher: Watcher) -> None:
    watcher.mount(OLD)
    watcher.start()
    watcher.wait_for_copy(OLD_TEXT)
    watcher.mount("nonsense\n")
    watcher.wait_for_line("is invalid")
    watcher.mount(NEW)
    watcher.wait_for_copy(NEW_TEXT)
    watcher.mount("nonsense\n")
    watcher.wait_for_line("is invalid", count=2)


def test_invalid_word_cannot_forge_log_lines(watcher: Watcher) -> None:
    watcher.mount(f"haproxy_trusted_networks = \x1b[2J\x07{'x' * 500}\n")
    (line,) = watcher.run_once().splitlines()
    assert line.isprintable()
    assert len(line) < 250


def test_without_a_mount_nobody_is_trusted_and_a_warning_is_logged_once(watcher: Watcher) -> None:
    output = watcher.run_once()
    assert output.startswith("mailproxy: no ConfigMap is mounted as directory ")
    assert output.count("\n") == 1
    assert watcher.copy.read_text() == NOBODY
    watcher.start()
    watcher.mount(OLD)
    watcher.wait_for_copy(OLD_TEXT)
    assert not [line for line in watcher.log() if "no ConfigMap" in line]


def test_restarted_watcher_applies_what_it_has_missed(watcher: Watcher) -> None:
    watcher.mount(OLD)
    watcher.start()
    watcher.wait_for_copy(OLD_TEXT)
    watcher.stop()
    watcher.mount(NEW)
    watcher.start()
    watcher.wait_for_copy(NEW_TEXT)
    assert "added: 10.0.0.2, fd00::2" in watcher.wait_for_line("fd00::2")


def test_long_list_is_applied_and_logged_in_part(watcher: Watcher) -> None:
    many = [f"10.{n // 250}.{n % 250}.1" for n in range(1000)] + [
        f"2001:db8:{n:x}::/48" for n in range(1, 1000)
    ]
    watcher.mount(many)
    assert "10.0.19.1 and 1979 more" in watcher.run_once()
    assert watcher.copy.read_text().split()[2:] == many


def test_a_thousand_changes_leave_no_process_file_or_memory(watcher: Watcher) -> None:
    watcher.fake("doveadm", f"sleep 0.01; touch {watcher.root}/run/dovecot/config")
    (watcher.root / "run/dovecot/master.pid").write_text(f"{os.getpid()}\n")
    watcher.mount(["10.0.0.1"])
    watcher.start("--reload")
    sizes = []
    for number in range(1, 1001):
        watcher.mount([f"10.0.{number // 250}.{number % 250}", f"fd00::{number:x}"])
        watcher.wait_for_line("Dovecot has reloaded", count=number)
        if number in (100, 1000):
            sizes.append(measure(watcher.pid))
    assert sizes[1]["files"] == sizes[0]["files"]
    assert sizes[1]["children"] == 0
    assert sizes[1]["memory"] - sizes[0]["memory"] < 300, sizes


def measure(pid: int) -> dict[str, int]:
    """Open files, child processes and resident memory in KiB, while it does nothing."""
    proc = Path(f"/proc/{pid}")
    wait_for(
        lambda: not (proc / f"task/{pid}/children").read_text(), SECONDS, "no child", interval=0.01
    )
    status = dict(
        line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
    )
    return {
        "files": len(list((proc / "fd").iterdir())),
        "children": len((proc / f"task/{pid}/children").read_text().split()),
        "memory": int(status["VmRSS"].split()[0]),
    }
