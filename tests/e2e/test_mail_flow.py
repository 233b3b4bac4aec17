"""Mail flows through Traefik on all ports, and the server's log shows the real client."""

from tests.cluster.scene import Scene
from tests.e2e.modes import FAMILIES
from tests.e2e.report import Report
from tests.e2e.sessions import MailClient, check_outside_client, check_ports


@FAMILIES
def test_all_ports_work_and_the_log_shows_the_outside_client(
    family: int, scene: Scene, report: Report
) -> None:
    check_outside_client(scene, family, report)


def test_webmail_pod_needs_no_header_on_the_normal_ports(
    webmail: tuple[MailClient, str], report: Report
) -> None:
    client, address = webmail
    check_ports(client, address, report)
