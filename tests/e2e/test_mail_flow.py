"""Mail flows through Traefik on all ports, and the server's log shows who the client really is."""

from tests.cluster.scene import Scene
from tests.e2e.modes import FAMILIES
from tests.e2e.report import Report
from tests.e2e.sessions import Visitor, prove_all, prove_outside_client


@FAMILIES
def test_all_ports_work_and_the_log_shows_the_outside_client(
    family: int, scene: Scene, report: Report
) -> None:
    prove_outside_client(scene, family, report)


def test_webmail_pod_needs_no_header_on_the_normal_ports(
    webmail: tuple[Visitor, str], report: Report
) -> None:
    visitor, address = webmail
    prove_all(visitor, address, report)
