"""`wiring: Inject` adds all mounts to a mail server that has none, and can be undone."""

from collections.abc import Iterator

import pytest

from mailproxy.api.mail_services import PortName
from tests.cluster.cluster import ROOT, Cluster
from tests.cluster.scene import IMAGES, SETTLE_SECONDS, Scene
from tests.cluster.workloads import build_mail_server
from tests.controlplane.api import Manifest, wait_for
from tests.controlplane.edge import MAIL_LABELS
from tests.e2e.modes import Scenes, pass_postscreen, temporary_scenes
from tests.e2e.report import Report
from tests.e2e.sessions import MailClient, check_ports

COMPONENT = ROOT / "manifests" / "components" / "wiring"
FILES = ("admission-policy.yaml", "cluster-role.yaml", "cluster-role-binding.yaml")
INDEX = 75  # of LoadBalancer addresses
PORTS = (PortName.SMTP, PortName.SUBMISSIONS, PortName.IMAPS)
WORKLOADS = [("2.3", "Deployment"), ("2.4", "StatefulSet")]  # version of Dovecot, kind


@pytest.fixture(scope="module")
def wired_scenes(cluster: Cluster) -> Iterator[Scenes]:
    """Mail servers whose manifests consent, and mount none of mailproxy's files."""
    for file in FILES:
        cluster.run_kubectl("apply", "-f", str(COMPONENT / file))

    def create(workload: tuple[str, str]) -> Scene:
        dovecot, kind = workload
        number = WORKLOADS.index(workload)
        scene = Scene(cluster, f"wired-{number}", INDEX + number, dovecot)
        scene.create_edge()
        options = {"env": scene.env, "kind": kind, "consents": True}
        scene.apply_all(build_mail_server(scene.mail, IMAGES[dovecot], {}, **options))
        scene.apply_mail_proxy(mailServer=choose(kind, "Inject"))
        scene.wait_for_condition("Ready", "True")
        scene.wait_for_banners(scene.addresses[0])
        pass_postscreen(scene)
        return scene

    with temporary_scenes(WORKLOADS, create) as scenes:
        yield scenes


def choose(kind: str, wiring: str) -> Manifest:
    """`mailServer` of the MailProxy."""
    return {
        "podSelector": {"matchLabels": MAIL_LABELS},
        "workloadRef": {"kind": kind, "name": "mail-server"},
        "wiring": wiring,
    }


def mounted(scene: Scene) -> list[str]:
    """Our volumes in the mail server's pods."""
    pods = scene.live_pods(scene.mail, "app.kubernetes.io/name=docker-mailserver")
    names = [volume["name"] for pod in pods for volume in pod["spec"]["volumes"]]
    return [name for name in names if name.startswith("mailproxy-")]


@pytest.mark.parametrize("workload", WORKLOADS, ids="-".join)
def test_mail_flows_with_injected_mounts_and_none_of_them_stays(
    workload: tuple[str, str], wired_scenes: Scenes, report: Report
) -> None:
    scene, (_, kind) = wired_scenes.get(workload), workload
    client = MailClient(scene, scene.addresses[0], way=f"{kind}, wiring Inject")
    check_ports(client, scene.cluster.addresses.host[0], report, PORTS)
    assert mounted(scene) == ["mailproxy-overrides", "mailproxy-trust"]

    scene.apply_mail_proxy(mailServer=choose(kind, "Manual"))
    scene.wait_for_condition("MailServerReady", "False", "OverridesNotMounted")
    wait_for(lambda: not mounted(scene), SETTLE_SECONDS, lambda: mounted(scene))
    scene.wait_for_ready_pod(scene.mail, MAIL_LABELS)
    address = scene.cluster_ip("mail-server", scene.mail)
    plain = MailClient(scene, address, through_edge=False, way=f"{kind}, wiring Manual")
    check_ports(plain, scene.cluster.addresses.gateway[0], report, PORTS)
