"""A webmail in the cluster: the mail server logs its users, and trusts its live pods only."""

from mailproxy.api.mail_services import Daemon
from tests.cluster.scene import Scene
from tests.cluster.workloads import PASSWORD, find_mailbox
from tests.controlplane.api import wait_for
from tests.e2e import server_log
from tests.e2e.mailbox_clients import Request, run_in_pod
from tests.e2e.modes import REPLICA_MODES, Mode, Scenes
from tests.e2e.report import Report

USER = "203.0.113.9"
FOLLOW_SECONDS = 110.0  # the kubelet's period, at worst
LOG_SECONDS = 60.0


def read_webmails(scene: Scene) -> set[str]:
    """Addresses from which the running server accepts a client's address."""
    answer = scene.run_in_mail_server("doveconf", "-h", "login_trusted_networks")
    return set(answer.split())


def log_in_for_user(scene: Scene, pod: str) -> list[str]:
    """Log in from a pod for a remote user; returns the clients in the log."""
    known = scene.log_size()
    address = scene.cluster_ip("mail-server", scene.mail)
    user = find_mailbox("imap")
    request = Request("imap", address, 143, user, PASSWORD, originating_ip=USER)
    session = run_in_pod(request, scene.run_in(scene.mail, pod))
    assert session.logged_in, session

    def find() -> list[str]:
        log = scene.logs(since=known)
        return [str(seen.address) for seen in server_log.find_logins(log, Daemon.IMAP_LOGIN)]

    own = scene.pod_addresses(scene.mail, pod)
    wait_for(lambda: {USER, *own} & set(find()), LOG_SECONDS, lambda: scene.logs(since=known))
    return find()


@REPLICA_MODES
def test_log_shows_the_user_whom_the_webmail_names(
    replica_mode: Mode, replica_scenes: Scenes, report: Report
) -> None:
    scene = replica_scenes.get(replica_mode)
    scene.add_pod(scene.mail, "webmail")
    own = set(scene.pod_addresses(scene.mail, "webmail"))
    wait_for(
        lambda: own <= read_webmails(scene),
        FOLLOW_SECONDS,
        lambda: read_webmails(scene),
        interval=1,
    )
    assert USER in log_in_for_user(scene, "webmail")
    report.notes.add(f"{'-'.join(replica_mode)}: the log shows the user behind the webmail, {USER}")


@REPLICA_MODES
def test_no_other_pod_may_name_a_client(replica_mode: Mode, replica_scenes: Scenes) -> None:
    scene = replica_scenes.get(replica_mode)
    scene.add_pod(scene.mail, "other-pod")
    assert USER not in log_in_for_user(scene, "other-pod")
