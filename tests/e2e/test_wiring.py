"""`wiring: Inject`: a mail server that mounts nothing of ours gets all that it needs, and is rid
of it again.
"""

from collections.abc import Iterator

import pytest

from mailproxy.api.spec import PortName
from tests.cluster.cluster import ROOT, Cluster
from tests.cluster.scene import IMAGES, SETTLE_SECONDS, Scene
from tests.cluster.workloads import build_mail_server
from tests.controlplane.api import wait_for
from tests.controlplane.edge import MAIL_LABELS
from tests.e2e.modes import become_known
from tests.e2e.report import Report
from tests.e2e.visits import Visitor, prove_all

COMPONENT = ROOT / "manifests" / "components" / "wiring"
FILES = ("admission-policy.yaml", "cluster-role.yaml", "cluster-role-binding.yaml")
INDEX = 75  # of LoadBalancer addresses
PORTS = (PortName.SMTP, PortName.SUBMISSIONS, PortName.IMAPS)
WORKLOAD = {"podSelector": {"matchLabels": MAIL_LABELS}, "workloadRef": {"name": "mail-server"}}


@pytest.fixture(scope="module")
def wired(cluster: Cluster) -> Iterator[Scene]:
    """A mail server whose own manifest consents, and knows nothing of mailproxy's files."""
    for file in FILES:
        cluster.run_kubectl("apply", "-f", str(COMPONENT / file))
    scene = Scene(cluster, "wired", INDEX)
    scene.create_edge()
    image = IMAGES[scene.dovecot]
    scene.apply_all(build_mail_server(scene.mail, image, {}, env=scene.env, consents=True))
    scene.apply_mail_proxy(mailServer=WORKLOAD | {"wiring": "Inject"})
    scene.wait_for_condition("Ready", "True")
    scene.wait_for_banners(scene.addresses[0])
    become_known(scene)
    yield scene
    scene.delete()


def mounted(scene: Scene) -> list[str]:
    """Volumes of ours in the mail server's pods."""
    pods = scene.live_pods(scene.mail, "app.kubernetes.io/name=docker-mailserver")
    names = [volume["name"] for pod in pods for volume in pod["spec"]["volumes"]]
    return [name for name in names if name.startswith("mailproxy-")]


def test_mail_flows_with_what_was_injected_and_nothing_stays_of_it(
    wired: Scene, report: Report
) -> None:
    visitor = Visitor(wired, wired.addresses[0], way="wiring Inject")
    prove_all(visitor, wired.cluster.addresses.host[0], report, PORTS)
    assert mounted(wired) == ["mailproxy-overrides", "mailproxy-trust"]

    wired.apply_mail_proxy(mailServer=WORKLOAD | {"wiring": "Manual"})
    wired.wait_for_condition("MailServerReady", "False", "OverridesNotMounted")
    wait_for(lambda: not mounted(wired), SETTLE_SECONDS, lambda: mounted(wired))
    wired.wait_for_ready_pod(wired.mail, MAIL_LABELS)
    address = wired.cluster_ip("mail-server", wired.mail)
    plain = Visitor(wired, address, through_edge=False, way="wiring Manual")
    prove_all(plain, wired.cluster.addresses.gateway[0], report, PORTS)
