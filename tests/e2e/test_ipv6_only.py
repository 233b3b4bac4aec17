"""A cluster without IPv4: all mail flows, and only the edge's IPv6 addresses are trusted."""

from ipaddress import ip_address

import pytest

from mailproxy.plan.trust.files import TRUST_FILE
from tests.cluster.scene import INSIDER, Scene
from tests.controlplane.api import wait_for
from tests.e2e.modes import SEPARATE, Scenes
from tests.e2e.reach import reach_from_pod
from tests.e2e.relay_attempt import AttackingPod, check_headers_are_rejected
from tests.e2e.report import Report
from tests.e2e.services import proxy_ports
from tests.e2e.sessions import check_outside_client
from tests.e2e.trust_latency import find_mounted, read_trusted

UNTRUSTED = "untrusted"
POLICY_SECONDS = 60.0


@pytest.fixture(scope="module", params=SEPARATE, ids="-".join)
def ipv6_scene(request: pytest.FixtureRequest, ipv6_scenes: Scenes) -> Scene:
    """The scene of a mode, with a pod that no policy keeps from the mail server's ports."""
    scene = ipv6_scenes.get(request.param)
    scene.add_pod(scene.mail, UNTRUSTED)
    return scene


def test_node_pods_services_and_names_have_no_ipv4_address(ipv6_scene: Scene) -> None:
    scene, api = ipv6_scene, ipv6_scene.cluster.api
    nodes = api.list("Node")
    pods, services = api.list("Pod"), api.list("Service")
    addresses = [a["address"] for n in nodes for a in n["status"]["addresses"]]
    found = {address for address in addresses if address != nodes[0]["metadata"]["name"]}
    found |= {entry["ip"] for pod in pods for entry in pod["status"].get("podIPs", [])}
    found |= {ip for service in services for ip in service["spec"]["clusterIPs"]}
    script = "import socket, sys; print(*{a[4][0] for a in socket.getaddrinfo(sys.argv[1], 25)})"
    name = f"mail-server.{scene.mail}.svc.cluster.local"
    named = scene.run_in(scene.mail, UNTRUSTED)(["python3", "-c", script, name], "").split()
    assert named == [scene.cluster_ip("mail-server", scene.mail)]
    assert {ip_address(address).version for address in [*found, *named]} == {6}


def test_all_ports_work_and_the_log_shows_the_outside_client(
    ipv6_scene: Scene, report: Report
) -> None:
    check_outside_client(ipv6_scene, 0, report, "IPv6 only")


def test_trusted_networks_are_the_ipv6_addresses_of_the_edge(ipv6_scene: Scene) -> None:
    scene = ipv6_scene
    pods = scene.live_pods(scene.edge)
    edge = {entry["ip"] for pod in pods for entry in pod["status"]["podIPs"]}
    assert len(edge) == len(pods) == 3  # two of Traefik, and the insider
    assert {ip_address(address).version for address in edge} == {6}
    config_map = scene.cluster.api.get("ConfigMap", "mail-trust", scene.mail)
    assert read_trusted(config_map["data"][TRUST_FILE]) == edge
    assert read_trusted(find_mounted(scene).read_text()) == edge


def test_dovecot_closes_connections_of_a_pod_outside_the_edge_at_once(ipv6_scene: Scene) -> None:
    check_headers_are_rejected(AttackingPod(ipv6_scene, ipv6_scene.mail, UNTRUSTED))


def test_network_policy_blocks_that_pod_and_not_the_edge(
    ipv6_scene: Scene,
) -> None:
    scene = ipv6_scene
    [address] = AttackingPod(scene, scene.mail, UNTRUSTED).targets
    targets = [(address, port) for port in proxy_ports(scene)]
    scene.apply_mail_proxy(networkPolicy="Enabled")

    def find(namespace: str, pod: str) -> set[str]:
        return set(reach_from_pod(targets, scene.run_in(namespace, pod)).values())

    wait_for(lambda: find(scene.mail, UNTRUSTED) == {"dropped"}, POLICY_SECONDS, "it is enforced")
    assert find(scene.edge, INSIDER) == {"open"}
