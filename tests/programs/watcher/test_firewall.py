"""The nftables table that the watcher keeps, by the kernel's own word in a network of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.controlplane.api import wait_for
from tests.programs.mail_programs import find_program, leave_out
from tests.programs.watcher.running import Watcher, running_watcher

from mailproxy.api.mail_services import MAIL_SERVICES, Listeners
from mailproxy.plan.mail_server.overrides import render_overrides

PORTS = "--firewall=" + ",".join(str(service.proxy_port) for service in MAIL_SERVICES)
OTHERS = "table inet f2b-table { set addr-set { type ipv4_addr; elements = { 192.0.2.1 }; }; }"
HOLD = "echo ready; exec sleep infinity"


# Servers on a guarded port and on another, and a client of both: who gets in by IPv4 and by IPv6?
CONNECT = """
import socket
for port in (12525, 25):
    for host in ("127.0.0.1", "::1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            try:
                socket.create_connection((host, port), 5).close()
                print("open", end=" ")
            except ConnectionRefusedError:
                print("refused", end=" ")
"""


class Net:
    """A network namespace with nothing in it but the loopback device."""

    def __init__(self) -> None:
        command = [find_program("unshare"), "--net", "sh", "-c", HOLD]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        self.enter = [find_program("nsenter"), f"--net=/proc/{self._holder.pid}/ns/net"]

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()

    def nft(self, *arguments: str, text: str | None = None) -> str:
        command = [*self.enter, find_program("nft"), *arguments]
        return subprocess.run(
            command, input=text, capture_output=True, text=True, check=True
        ).stdout

    def connect(self) -> list[str]:
        """What becomes of connections to 12525 by IPv4 and by IPv6, and then to 25."""
        subprocess.run([*self.enter, find_program("ip"), "link", "set", "lo", "up"], check=True)
        command = [*self.enter, sys.executable, "-c", CONNECT]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def table(self) -> str:
        """Our table, or nothing."""
        ours = "table inet mailproxy"
        is_there = ours in self.nft("list", "tables").splitlines()
        return self.nft("list", *ours.split()) if is_there else ""


@pytest.fixture
def net() -> Iterator[Net]:
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("unshare") is None:
        leave_out("a network namespace needs Linux and root; the tests in tests/e2e have one too")
    net = Net()
    yield net
    net.close()


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with running_watcher() as watcher:
        watcher.fake("doveconf", "true")
        yield watcher


@pytest.fixture
def guarded(watcher: Watcher, net: Net) -> Watcher:
    """A watcher in that network, with the real nft."""
    watcher.wrapper = net.enter
    watcher.fake("nft", f'exec {find_program("nft")} "$@"')
    return watcher


def test_table_is_there_before_the_mail_server_starts(guarded: Watcher, net: Net) -> None:
    guarded.mount(["10.0.0.1", "10.1.0.0/16", "fd00::1"])
    guarded.run_once(PORTS)
    table = net.table()
    assert "elements = { 10.0.0.1, 10.1.0.0/16 }" in table
    assert "elements = { fd00::1 }" in table
    assert "reject with tcp reset" in table
    for service in MAIL_SERVICES:
        assert str(service.proxy_port) in table


def test_nobody_is_let_in_without_a_list(guarded: Watcher, net: Net) -> None:
    guarded.run_once(PORTS)
    table = net.table()
    assert "reject with tcp reset" in table
    assert "elements" not in table.replace("tcp dport", "")


@pytest.mark.parametrize(
    ("networks", "guarded_port"),
    [
        ([], ["refused", "refused"]),
        (["127.0.0.1"], ["open", "refused"]),
        (["::1"], ["refused", "open"]),
        (["127.0.0.0/8", "::1"], ["open", "open"]),
    ],
)
def test_only_listed_sources_get_in_and_other_ports_are_everybodys(
    guarded: Watcher, net: Net, networks: list[str], guarded_port: list[str]
) -> None:
    guarded.mount(networks)
    guarded.run_once(PORTS)
    assert net.connect() == [*guarded_port, "open", "open"]


def test_running_watcher_exchanges_the_table_and_touches_no_other(
    guarded: Watcher, net: Net
) -> None:
    net.nft("-f", "-", text=OTHERS)
    others = net.nft("list", "table", "inet", "f2b-table")
    guarded.mount(["10.0.0.1"])
    guarded.start(PORTS)
    guarded.wait_for_line("10.0.0.1")
    guarded.mount(["10.0.0.2", "fd00::2"])
    wait_for(lambda: "fd00::2" in net.table(), 10.0, net.table)
    assert "10.0.0.2" in net.table()
    assert "10.0.0.1" not in net.table()
    assert net.nft("list", "table", "inet", "f2b-table") == others


def test_networks_that_overlap_are_no_trouble(guarded: Watcher, net: Net) -> None:
    guarded.mount(["10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "10.1.0.0/16", "fd00::/32", "fd00::1"])
    said = guarded.run_once(PORTS)
    assert "nft says" not in said
    assert "10.0.0.0/8" in net.table()


def test_another_start_changes_nothing(guarded: Watcher, net: Net) -> None:
    """A container that starts again in its pod finds the table of its former life."""
    guarded.mount(["10.0.0.1"])
    guarded.run_once(PORTS)
    table = net.table()
    assert guarded.run_once(PORTS) == ""
    assert net.table() == table


def test_table_goes_when_the_firewall_is_disabled(guarded: Watcher, net: Net) -> None:
    net.nft("-f", "-", text=OTHERS)
    guarded.mount(["10.0.0.1"])
    guarded.run_once(PORTS)
    guarded.run_once()
    assert net.table() == ""
    assert net.nft("list", "table", "inet", "f2b-table")


def test_without_the_right_it_is_said_once_and_nft_is_not_run(watcher: Watcher) -> None:
    watcher.fake("nft", f"touch {watcher.root}/ran")
    if os.geteuid() == 0:
        watcher.wrapper = [find_program("setpriv"), "--bounding-set=-net_admin"]
    watcher.mount(["10.0.0.1"])
    said = watcher.run_once(PORTS)
    assert said.startswith("mailproxy: a NetworkPolicy alone guards the PROXY ports: ")
    watcher.start(PORTS)
    watcher.mount(["10.0.0.2"])
    watcher.wait_for_line("10.0.0.2")
    assert not [line for line in watcher.log() if "NetworkPolicy" in line]
    assert not (watcher.root / "ran").exists()


def test_nft_that_fails_is_in_the_log_and_dovecot_gets_its_list(guarded: Watcher) -> None:
    guarded.fake("nft", "echo 'Error: Could not process rule' >&2; exit 1")
    guarded.mount(["10.0.0.1"])
    said = guarded.run_once(PORTS)
    assert "nft says Error: Could not process rule" in said
    assert guarded.copy.read_text() == "haproxy_trusted_networks = 10.0.0.1\n"


def test_only_separate_ports_get_a_firewall_and_all_eight_of_them() -> None:
    few = MAIL_SERVICES[:1]
    assert PORTS in render_overrides(Listeners.SEPARATE, few)["user-patches.sh"]
    without = render_overrides(Listeners.SEPARATE, few, firewall=False)
    for text in (without["user-patches.sh"], *render_overrides(Listeners.SHARED, few).values()):
        assert "(--reload)" in text or "user-patches" not in text
        assert PORTS not in text


def test_nft_that_failed_runs_again(guarded: Watcher, net: Net) -> None:
    guarded.set_patience(20)
    guarded.fake("nft", "exit 1")
    guarded.mount(["10.0.0.1"])
    guarded.start(PORTS)
    guarded.wait_for_line("nft says")
    guarded.fake("nft", f'exec {find_program("nft")} "$@"')
    wait_for(lambda: "10.0.0.1" in net.table(), 10.0, "a table")
