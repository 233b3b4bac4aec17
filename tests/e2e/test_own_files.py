"""A user's own files for docker-mailserver and mailproxy's are in effect together."""

from collections.abc import Iterator

import pytest

from mailproxy.api.spec import PortName
from tests.cluster.cluster import Cluster
from tests.cluster.scene import Scene
from tests.cluster.workloads import build_config_map
from tests.controlplane.edge import MAIL_LABELS
from tests.e2e.mailbox_clients import Request, visit
from tests.e2e.modes import MODES, Mode, Scenes, become_known, chosen_modes, temporary_scenes
from tests.e2e.report import Report
from tests.e2e.smtp_client import deliver
from tests.e2e.visits import Visitor, prove_all

INDEX = 50  # of LoadBalancer addresses
NAME = "own-files"
OWN_FILES = {
    "dovecot.cf": "login_greeting = own greeting\n",
    "postfix-main.cf": "message_size_limit = 12345678\n",
    "postfix-master.cf": "submission/inet/smtpd_banner=own.banner\n",
    # It ends too early, and badly: the rest must follow all the same.
    "user-patches.sh": "#!/bin/bash\nset -e\ntouch /tmp/own-patches-ran\nfalse\n",
}


@pytest.fixture(scope="module")
def own_scenes(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """Mail servers that have files of their user's."""

    def create(mode: Mode) -> Scene:
        number = MODES.index(mode)
        scene = Scene(cluster, f"own-{number}", INDEX + number, *mode)
        scene.create_namespaces()
        scene.apply(build_config_map(scene.mail, NAME, OWN_FILES))
        selector = {"matchLabels": MAIL_LABELS}
        scene.create(mailServer={"podSelector": selector, "overridesFrom": NAME})
        become_known(scene)
        return scene

    with temporary_scenes(chosen_modes(request, "own"), create) as scenes:
        yield scenes


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def own(request: pytest.FixtureRequest, own_scenes: Scenes) -> Scene:
    """One of them."""
    return own_scenes.get(request.param)


def test_both_are_in_effect_and_a_broken_edit_changes_nothing(own: Scene, report: Report) -> None:
    expect_own_settings(own)
    visitor = Visitor(own, own.addresses[0], way="with own files")
    prove_all(visitor, own.cluster.addresses.host[0], report)

    before = own.wait_for_config_map("mail-overrides")
    broken = OWN_FILES | {"dovecot.cf": "service imap-login {\n"}
    own.apply(build_config_map(own.mail, NAME, broken))

    condition = own.wait_for_condition("Accepted", "False", "OverridesInvalid")
    assert "dovecot.cf" in condition["message"] and "line 1" in condition["message"], condition
    assert own.wait_for_config_map("mail-overrides") == before
    own.restart_mail_server()
    report.add(visitor.prove(PortName.IMAPS))


def expect_own_settings(scene: Scene) -> None:
    """Seen by a client, through the edge."""
    address = scene.addresses[0]
    session = visit(Request("imap", address, 993, "nobody", "wrong", "implicit"))
    assert "own greeting" in session.greeting, session
    delivery = deliver(address, 587, sender="me@example.org", recipient="you@example.org")
    assert "220 own.banner" in delivery.transcript, delivery.transcript
    assert "SIZE 12345678" in delivery.transcript, delivery.transcript
    scene.run_in_mail_server("test", "-e", "/tmp/own-patches-ran")
