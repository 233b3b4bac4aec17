"""A MailProxy that is deleted takes all of its own along, and nothing else."""

import json
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.scene import Scene
from tests.controlplane.api import Manifest, wait_for
from tests.e2e.modes import MODES, SEPARATE, Mode, Scenes, chosen_modes, temporary_scenes
from tests.e2e.report import Report
from tests.e2e.visits import Visitor, prove_all

INDEX = 60  # of LoadBalancer addresses
CHILD_KINDS = {"ConfigMap", "IngressRouteTCP", "NetworkPolicy", "Service"}
LABEL = "app.kubernetes.io/managed-by"
GONE_SECONDS = 30.0


def find_children(scene: Scene, uid: str) -> list[str]:
    """Objects of any kind that name this owner, wherever, or carry our label beside it."""
    run = scene.cluster.run_kubectl
    kinds = run("api-resources", "--verbs=list", "--output=name").stdout.split()
    answer = run("get", ",".join(kinds), "--all-namespaces", "--output=json", check=False)
    return [
        f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
        for item in json.loads(answer.stdout)["items"]
        if is_child(item["metadata"], scene.mail, uid)
    ]


def is_child(metadata: Manifest, namespace: str, uid: str) -> bool:
    owners = [owner["uid"] for owner in metadata.get("ownerReferences", [])]
    is_ours = metadata.get("labels", {}).get(LABEL) == "mailproxy-operator"
    return uid in owners or (is_ours and metadata.get("namespace") == namespace)


@pytest.fixture(scope="module")
def removals(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """Mail servers whose MailProxy may go."""

    def create(mode: Mode) -> Scene:
        number = MODES.index(mode)
        scene = Scene(cluster, f"removed-{number}", INDEX + number, *mode)
        scene.create()
        return scene

    with temporary_scenes(chosen_modes(request, "mode"), create) as scenes:
        yield scenes


@pytest.mark.parametrize("mode", SEPARATE, ids="-".join)
def test_children_go_and_plain_ports_stay(mode: Mode, removals: Scenes, report: Report) -> None:
    scene = removals.get(mode)
    api = scene.cluster.api
    uid = api.get("MailProxy", "mail", scene.mail)["metadata"]["uid"]
    kinds = {child.partition(" ")[0] for child in find_children(scene, uid)}
    assert kinds >= CHILD_KINDS, kinds

    api.delete("MailProxy", "mail", scene.mail)

    def find() -> list[str]:
        return find_children(scene, uid)

    wait_for(lambda: not find(), GONE_SECONDS, find, interval=2)  # kubectl asks for every kind
    address = scene.cluster_ip("mail-server", scene.mail)
    visitor = Visitor(scene, address, through_edge=False, way="MailProxy deleted")
    prove_all(visitor, scene.cluster.addresses.gateway[0], report)
    assert scene.is_mail_server_ready()
