"""A user's own files for docker-mailserver and those of mailproxy are in effect together."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from mailproxy.api.mail_services import PortName
from tests.cluster.cluster import Cluster
from tests.cluster.scene import Scene
from tests.cluster.workloads import build_config_map
from tests.controlplane.api import Manifest
from tests.controlplane.edge import MAIL_LABELS
from tests.e2e.mailbox_clients import Request, run_session
from tests.e2e.modes import MODES, Mode, Scenes, chosen_modes, pass_postscreen, temporary_scenes
from tests.e2e.report import Report
from tests.e2e.sessions import MailClient, check_ports
from tests.e2e.smtp_client import deliver

INDEX = 50  # of LoadBalancer addresses
NAME = "own-files"
OWN_FILES = {
    "dovecot.cf": "login_greeting = own greeting\n",
    "postfix-main.cf": "message_size_limit = 12345678\n",
    "postfix-master.cf": "submission/inet/smtpd_banner=own.banner\n",
    # It fails before its end; the rest must run nevertheless.
    "user-patches.sh": "#!/bin/bash\nset -e\ntouch /tmp/own-patches-ran\nfalse\n",
}


@pytest.fixture(scope="module")
def own_scenes(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """Mail servers with files of their user."""

    def create(mode: Mode) -> Scene:
        number = MODES.index(mode)
        scene = Scene(cluster, f"own-{number}", INDEX + number, *mode)
        scene.create_namespaces()
        scene.apply(build_config_map(scene.mail, NAME, OWN_FILES))
        selector = {"matchLabels": MAIL_LABELS}
        scene.create(mailServer={"podSelector": selector, "overridesFrom": NAME})
        pass_postscreen(scene)
        return scene

    with temporary_scenes(chosen_modes(request, "own_mode"), create) as scenes:
        yield scenes


@pytest.fixture(scope="module")
def restarted(
    request: pytest.FixtureRequest, own_scenes: Scenes, report: Report
) -> dict[Mode, Future[Manifest]]:
    """The condition after an invalid edit, for each mode; mail flows before and after it."""

    def run(mode: Mode) -> Manifest:
        return apply_invalid_edit_and_restart(own_scenes.get(mode), report)

    with ThreadPoolExecutor(len(MODES)) as pool:
        return {mode: pool.submit(run, mode) for mode in chosen_modes(request, "own_mode")}


def apply_invalid_edit_and_restart(scene: Scene, report: Report) -> Manifest:
    check_own_settings(scene)
    client = MailClient(scene, scene.addresses[0], way="with own files")
    check_ports(client, scene.cluster.addresses.host[0], report)

    before = scene.wait_for_config_map("mail-overrides")
    broken = OWN_FILES | {"dovecot.cf": "service imap-login {\n"}
    scene.apply(build_config_map(scene.mail, NAME, broken))
    condition = scene.wait_for_condition("Accepted", "False", "OverridesInvalid")
    assert scene.wait_for_config_map("mail-overrides") == before

    scene.restart_mail_server()
    check_own_settings(scene)
    report.add(client.prove(PortName.IMAPS))
    return condition


@pytest.mark.parametrize("own_mode", MODES, ids="-".join)
def test_both_are_in_effect_and_an_invalid_edit_is_a_condition(
    own_mode: Mode, restarted: dict[Mode, Future[Manifest]]
) -> None:
    message = restarted[own_mode].result()["message"]
    assert "dovecot.cf line 1" in message, message


def check_own_settings(scene: Scene) -> None:
    """As a client sees them through the edge."""
    address = scene.addresses[0]
    session = run_session(Request("imap", address, 993, "nobody", "wrong", "implicit"))
    assert "own greeting" in session.greeting, session
    delivery = deliver(address, 587, sender="me@example.org", recipient="you@example.org")
    assert "220 own.banner" in delivery.transcript, delivery.transcript
    assert "SIZE 12345678" in delivery.transcript, delivery.transcript
    scene.run_in_mail_server("test", "-e", "/tmp/own-patches-ran")
