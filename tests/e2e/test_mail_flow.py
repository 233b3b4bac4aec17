"""Mail flows through Traefik on all ports, and the server's log shows who the client really is."""

import pytest

from tests.cluster.scene import Scene
from tests.e2e.report import Report
from tests.e2e.visits import Visitor, prove_all


@pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
def test_all_ports_work_and_the_log_shows_the_outside_client(
    family: int, scene: Scene, report: Report
) -> None:
    index = 0 if family == 4 else 1
    visitor = Visitor(scene, scene.addresses[index])
    prove_all(visitor, scene.cluster.addresses.host[index], report)


def test_webmail_pod_needs_no_header_on_the_normal_ports(
    webmail: tuple[Visitor, str], report: Report
) -> None:
    visitor, address = webmail
    prove_all(visitor, address, report)
