"""The running mail server follows the edge: Dovecot, its firewall for Postfix, and Fail2ban."""

from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from mailproxy.api.mail_services import MAIL_SERVICES
from tests.cluster.cluster import Cluster
from tests.cluster.scene import INSIDER, Scene
from tests.controlplane.api import wait_for
from tests.e2e.attacker import Attack, Plan, attack
from tests.e2e.modes import SEPARATE, Mode, Scenes, chosen_modes, temporary_scenes
from tests.e2e.proxy_header import Endpoint, version_2
from tests.e2e.reach import expect, reach_from_pod
from tests.e2e.report import Report
from tests.e2e.services import proxy_ports
from tests.e2e.trust_change import (
    IMAP_PORT,
    JAILS,
    SUBMISSION_PORT,
    Change,
    find_ignored,
    run_change,
)

INDEX = 70  # of LoadBalancer addresses
UNPROTECTED = "only a NetworkPolicy protects the PROXY ports"
BAN_SECONDS = 60.0
BANNED = "203.0.113.50"


@pytest.fixture(scope="module")
def live_scenes(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """Mail servers with NET_ADMIN and Fail2ban, and without a NetworkPolicy."""

    def create(mode: Mode) -> Scene:
        number = SEPARATE.index(mode)
        scene = Scene(
            cluster,
            f"live-{number}",
            INDEX + number,
            *mode,
            env={"ENABLE_FAIL2BAN": "1"},
            capabilities=["NET_ADMIN"],
        )
        scene.create(networkPolicy="Disabled")
        return scene

    with temporary_scenes(chosen_modes(request, "live_mode"), create) as scenes:
        yield scenes


@pytest.fixture(scope="module")
def changes(request: pytest.FixtureRequest, live_scenes: Scenes) -> dict[Mode, Future[Change]]:
    """A pod that joins the edge and leaves it, in all scenes concurrently."""
    with ThreadPoolExecutor(len(SEPARATE)) as pool:
        return {
            mode: pool.submit(lambda mode=mode: run_change(live_scenes.get(mode)))
            for mode in chosen_modes(request, "live_mode")
        }


live_modes = pytest.mark.parametrize("live_mode", SEPARATE, ids="-".join)


def mail_targets(scene: Scene, ports: list[int]) -> list[tuple[str, int]]:
    pod = scene.mail_pod()["metadata"]["name"]
    return [(address, port) for address in scene.pod_addresses(scene.mail, pod) for port in ports]


@live_modes
def test_postfix_and_dovecot_accept_a_new_pod_of_the_edge_by_the_same_change(
    live_mode: Mode, changes: dict[Mode, Future[Change]], report: Report
) -> None:
    change = changes[live_mode].result()
    postfix = change.first(change.joining, SUBMISSION_PORT, "greeted")
    dovecot = change.first(change.joining, IMAP_PORT, "greeted")
    assert {one.state for one in change.joining} & {"refused"}, change.joining
    report.notes.add(
        f"{'-'.join(live_mode)}: Dovecot follows Postfix's firewall by {dovecot - postfix:.2f} s"
    )


@live_modes
def test_both_refuse_a_pod_that_has_left_the_edge(
    live_mode: Mode, changes: dict[Mode, Future[Change]]
) -> None:
    change = changes[live_mode].result()
    for port in (IMAP_PORT, SUBMISSION_PORT):
        assert change.first(change.leaving, port, "refused")


@live_modes
def test_everyone_else_is_greeted_and_sessions_continue_during_reloads(
    live_mode: Mode, changes: dict[Mode, Future[Change]], report: Report
) -> None:
    change = changes[live_mode].result()
    assert [one.state for one in change.steady] == ["greeted"], change.steady
    report.notes.add(
        f"{'-'.join(live_mode)}: beside two reloads a greeting takes up to"
        f" {change.steady[0].longest:.2f} s"
    )
    assert change.session.startswith("idle1 OK"), change.session
    assert change.session.endswith("NOOP OK"), change.session


@live_modes
def test_log_has_one_line_for_each_change(
    live_mode: Mode, changes: dict[Mode, Future[Change]]
) -> None:
    change = changes[live_mode].result()
    addresses = ", ".join(change.addresses)
    expected = [
        f"mailproxy: trusted proxies {word}: {addresses}; Dovecot has reloaded"
        for word in ("added", "removed")
    ]
    assert change.log == expected


def add_untrusted_pod(scene: Scene) -> None:
    """A pod outside the edge; returns when it reaches the mail server by IPv4 and IPv6."""
    scene.add_pod(scene.mail, "untrusted")
    targets, run = mail_targets(scene, [143]), scene.run_in(scene.mail, "untrusted")

    def find_states() -> set[str]:
        return set(reach_from_pod(targets, run).values())

    wait_for(lambda: find_states() == {"open"}, BAN_SECONDS, find_states)


@live_modes
def test_pod_outside_the_edge_is_reset_on_every_proxy_port_and_on_no_other(
    live_mode: Mode, live_scenes: Scenes
) -> None:
    scene = live_scenes.get(live_mode)
    add_untrusted_pod(scene)
    protected = mail_targets(scene, proxy_ports(scene))
    plain = mail_targets(scene, [service.port for service in MAIL_SERVICES])
    found = reach_from_pod([*protected, *plain], scene.run_in(scene.mail, "untrusted"))
    expect(found, protected, "refused")
    expect(found, plain, "open")
    expect(reach_from_pod(protected, scene.run_in(scene.edge, INSIDER)), protected, "open")


@live_modes
def test_running_fail2ban_ignores_the_current_edge(
    live_mode: Mode, changes: dict[Mode, Future[Change]], live_scenes: Scenes
) -> None:
    change = changes[live_mode].result()
    scene = live_scenes.get(live_mode)
    edge = set(scene.pod_addresses(scene.edge, INSIDER))
    assert change.ignored >= {"127.0.0.0/8", *edge, *change.addresses}
    assert change.ignored_later >= {"127.0.0.0/8", *edge}
    scene.run_in_mail_server("fail2ban-client", "reload")
    assert find_ignored(scene, "postfix") == change.ignored_later


@live_modes
def test_bad_logins_that_claim_an_address_of_the_edge_do_not_ban_it(
    live_mode: Mode, live_scenes: Scenes
) -> None:
    """That would ban all clients. The same logins ban any other address."""
    scene = live_scenes.get(live_mode)
    edge = scene.pod_addresses(scene.edge, INSIDER)[0]
    # Fail2ban 1.1 does not recognise the bad logins of Dovecot 2.4.
    jails = JAILS if scene.dovecot == "2.3" else JAILS[:1]
    logins = [
        build_bad_login(scene, jail, claimed)
        for jail in jails
        for claimed in (edge, BANNED)
        for _ in range(7)
    ]
    attack(Plan(logins), scene.run_in(scene.edge, INSIDER))
    for jail in jails:
        wait_for(lambda jail=jail: BANNED in find_banned(scene, jail), BAN_SECONDS, scene.logs)
        assert find_banned(scene, jail) == [BANNED]
    # After a reload it logs to the file that its configuration names.
    log = scene.logs() + scene.run_in_mail_server("cat", "/var/log/fail2ban.log")
    for jail in jails:
        assert f"[{jail}] Ignore {edge} by ip" in log
    targets = mail_targets(scene, proxy_ports(scene))
    expect(reach_from_pod(targets, scene.run_in(scene.edge, INSIDER)), targets, "open")


def build_bad_login(scene: Scene, jail: str, claimed: str) -> Attack:
    """A wrong password, from an address that only the header claims."""
    host = mail_targets(scene, [0])[0][0]
    header = version_2(Endpoint(claimed, 4000), Endpoint(host, 465)).hex()
    if jail == "dovecot":
        return Attack(jail, host, 10993, "imap", header, True, ["a1 LOGIN imaps@example.com no"])
    secret = b64encode(b"\0imaps@example.com\0no").decode()
    return Attack(
        jail, host, 10465, "smtp", header, True, ["EHLO client.example.com", f"AUTH PLAIN {secret}"]
    )


def find_banned(scene: Scene, jail: str) -> list[str]:
    return scene.run_in_mail_server("fail2ban-client", "get", jail, "banip").split()


@live_modes
def test_other_tables_stay_when_ours_is_replaced(live_mode: Mode, live_scenes: Scenes) -> None:
    """Fail2ban has its own; a container that restarts finds ours."""
    scene = live_scenes.get(live_mode)
    scene.run_in_mail_server("nft", "add", "table", "inet", "f2b-table")

    def tables() -> set[str]:
        return set(scene.run_in_mail_server("nft", "list", "tables").splitlines())

    before = tables()
    scene.run_in_mail_server("bash", "/tmp/docker-mailserver/user-patches.sh")
    assert {"table inet mailproxy", "table inet f2b-table"} <= before
    assert tables() == before


def test_container_without_net_admin_warns_once_that_postfix_is_unprotected(
    separate_scene: Scene,
) -> None:
    scene = separate_scene
    assert scene.logs().count(UNPROTECTED) == 1
    add_untrusted_pod(scene)
    targets = mail_targets(scene, proxy_ports(scene))
    found = reach_from_pod(targets, scene.run_in(scene.mail, "untrusted"))
    expect(found, targets, "open")


def test_supervisord_restarts_a_watcher_that_has_died(separate_scene: Scene) -> None:
    scene = separate_scene
    ask = ("supervisorctl", "pid", "mailproxy-watcher")
    old = scene.run_in_mail_server(*ask).strip()
    scene.run_in_mail_server("kill", "-KILL", old)

    def find_another() -> bool:
        pid = scene.run_in_mail_server(*ask).strip()
        return pid not in ("0", old)

    wait_for(find_another, 20.0, "another watcher")
