"""Deleting a MailProxy deletes all of its children, and nothing else."""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.scene import Scene
from tests.controlplane.api import Manifest, wait_for
from tests.e2e.modes import MODES, SEPARATE, Mode, chosen_modes, run_concurrently
from tests.e2e.report import Report
from tests.e2e.sessions import MailClient, check_ports

INDEX = 60  # of LoadBalancer addresses
CHILD_KINDS = {"ConfigMap", "IngressRouteTCP", "NetworkPolicy", "Service"}
LABEL = "app.kubernetes.io/managed-by"
GONE_SECONDS = 120.0


def find_children(scene: Scene, uid: str) -> list[str]:
    """Objects of any kind and namespace with this owner, or in its namespace with our label."""
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
def removals(
    request: pytest.FixtureRequest, cluster: Cluster, report: Report
) -> Iterator[dict[Mode, Future[None]]]:
    """Deletes the MailProxy of a scene for each mode, and checks what is deleted and what stays."""

    @contextmanager
    def run(mode: Mode) -> Iterator[None]:
        scene = Scene(cluster, f"removed-{MODES.index(mode)}", INDEX + MODES.index(mode), *mode)
        scene.create()
        remove_mail_proxy(scene)
        address = scene.cluster_ip("mail-server", scene.mail)
        client = MailClient(scene, address, through_edge=False, way="MailProxy deleted")
        check_ports(client, scene.cluster.addresses.gateway[0], report)
        assert scene.is_mail_server_ready()
        yield
        scene.delete()

    with run_concurrently(chosen_modes(request, "removed_mode"), run) as removals:
        yield removals


def remove_mail_proxy(scene: Scene) -> None:
    """Delete it; returns when none of its children is left."""
    api = scene.cluster.api
    uid = api.get("MailProxy", "mail", scene.mail)["metadata"]["uid"]
    kinds = {child.partition(" ")[0] for child in find_children(scene, uid)}
    assert kinds >= CHILD_KINDS, kinds

    api.delete("MailProxy", "mail", scene.mail)

    def find() -> list[str]:
        return find_children(scene, uid)

    wait_for(lambda: not find(), GONE_SECONDS, find, interval=2)  # kubectl lists every kind


@pytest.mark.parametrize("removed_mode", SEPARATE, ids="-".join)
def test_children_are_deleted_and_plain_ports_stay(
    removed_mode: Mode, removals: dict[Mode, Future[None]]
) -> None:
    removals[removed_mode].result()
