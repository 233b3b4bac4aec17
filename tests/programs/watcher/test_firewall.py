"""The nftables table of the watcher, as the kernel reports it, in a network namespace."""

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


# Connects to a protected port and to another one, by IPv4 and by IPv6.
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
        """Outcomes of connections to 12525 by IPv4 and by IPv6, then to 25."""
        subprocess.run([*self.enter, find_program("ip"), "link", "set", "lo", "up"], check=True)
        command = [*self.enter, sys.executable, "-c", CONNECT]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def table(self) -> str:
        """Our table; empty if there is none."""
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
def protected(watcher: Watcher, net: Net) -> Watcher:
    """A watcher in that network, with the real nft."""
    watcher.wrapper = net.enter
    watcher.fake("nft", f'exec {find_program("nft")} "$@"')
    return watcher


def test_table_exists_before_the_mail_server_starts(protected: Watcher, net: Net) -> None:
    protected.mount(["10.0.0.1", "10.1.0.0/16", "fd00::1"])
    protected.run_once(PORTS)
    table = net.table()
    assert "elements = { 10.0.0.1, 10.1.0.0/16 }" in table
    assert "elements = { fd00::1 }" in table
    assert "reject with tcp reset" in table
    for service in MAIL_SERVICES:
        assert str(service.proxy_port) in table


def test_without_a_list_every_source_is_reset(protected: Watcher, net: Net) -> None:
    protected.run_once(PORTS)
    table = net.table()
    assert "reject with tcp reset" in table
    assert "elements" not in table.replace("tcp dport", "")


@pytest.mark.parametrize(
    ("networks", "protected_port"),
    [
        ([], ["refused", "refused"]),
        (["127.0.0.1"], ["open", "refused"]),
        (["::1"], ["refused", "open"]),
        (["127.0.0.0/8", "::1"], ["open", "open"]),
    ],
)
def test_only_listed_sources_connect_and_other_ports_stay_open(
    protected: Watcher, net: Net, networks: list[str], protected_port: list[str]
) -> None:
    protected.mount(networks)
    protected.run_once(PORTS)
    assert net.connect() == [*protected_port, "open", "open"]


def test_running_watcher_replaces_its_table_and_no_other(protected: Watcher, net: Net) -> None:
    net.nft("-f", "-", text=OTHERS)
    others = net.nft("list", "table", "inet", "f2b-table")
    protected.mount(["10.0.0.1"])
    protected.start(PORTS)
    protected.wait_for_line("10.0.0.1")
    protected.mount(["10.0.0.2", "fd00::2"])
    wait_for(lambda: "fd00::2" in net.table(), 10.0, net.table)
    assert "10.0.0.2" in net.table()
    assert "10.0.0.1" not in net.table()
    assert net.nft("list", "table", "inet", "f2b-table") == others


def test_networks_may_overlap(protected: Watcher, net: Net) -> None:
    protected.mount(
        ["10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "10.1.0.0/16", "fd00::/32", "fd00::1"]
    )
    output = protected.run_once(PORTS)
    assert "nft says" not in output
    assert "10.0.0.0/8" in net.table()


def test_another_start_changes_nothing(protected: Watcher, net: Net) -> None:
    """A container that restarts in its pod finds the table of its previous run."""
    protected.mount(["10.0.0.1"])
    protected.run_once(PORTS)
    table = net.table()
    assert protected.run_once(PORTS) == ""
    assert net.table() == table


def test_table_goes_when_the_firewall_is_disabled(protected: Watcher, net: Net) -> None:
    net.nft("-f", "-", text=OTHERS)
    protected.mount(["10.0.0.1"])
    protected.run_once(PORTS)
    protected.run_once()
    assert net.table() == ""
    assert net.nft("list", "table", "inet", "f2b-table")


def test_without_the_capability_a_warning_is_logged_once_and_nft_is_not_run(
    watcher: Watcher,
) -> None:
    watcher.fake("nft", f"touch {watcher.root}/ran")
    if os.geteuid() == 0:
        watcher.wrapper = [find_program("setpriv"), "--bounding-set=-net_admin"]
    watcher.mount(["10.0.0.1"])
    output = watcher.run_once(PORTS)
    assert output.startswith("mailproxy: only a NetworkPolicy protects the PROXY ports: ")
    watcher.start(PORTS)
    watcher.mount(["10.0.0.2"])
    watcher.wait_for_line("10.0.0.2")
    assert not [line for line in watcher.log() if "NetworkPolicy" in line]
    assert not (watcher.root / "ran").exists()


def test_failure_of_nft_is_logged_and_dovecot_gets_its_list(protected: Watcher) -> None:
    protected.fake("nft", "echo 'Error: Could not process rule' >&2; exit 1")
    protected.mount(["10.0.0.1"])
    output = protected.run_once(PORTS)
    assert "nft says Error: Could not process rule" in output
    assert protected.copy.read_text() == "haproxy_trusted_networks = 10.0.0.1\n"


def test_only_separate_ports_get_a_firewall_and_all_eight_of_them() -> None:
    few = MAIL_SERVICES[:1]
    assert PORTS in render_overrides(Listeners.SEPARATE, few)["user-patches.sh"]
    without = render_overrides(Listeners.SEPARATE, few, firewall=False)
    for text in (without["user-patches.sh"], *render_overrides(Listeners.SHARED, few).values()):
        assert "(--reload)" in text or "user-patches" not in text
        assert PORTS not in text


def test_failed_nft_is_retried(protected: Watcher, net: Net) -> None:
    protected.retry_after(20)
    protected.fake("nft", "exit 1")
    protected.mount(["10.0.0.1"])
    protected.start(PORTS)
    protected.wait_for_line("nft says")
    protected.fake("nft", f'exec {find_program("nft")} "$@"')
    wait_for(lambda: "10.0.0.1" in net.table(), 10.0, "a table")
