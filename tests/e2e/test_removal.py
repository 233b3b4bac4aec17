"""A MailProxy that is deleted takes all of its own along, and nothing else."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailproxy.api.spec import PortName
from tests.cluster.cluster import Cluster
from tests.cluster.scene import Scene
from tests.controlplane.api import Manifest, wait_for
from tests.e2e.report import Report
from tests.e2e.visits import Visitor

INDEX = 43  # of the LoadBalancer address
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


@pytest.mark.parametrize("dovecot", ["2.3", "2.4"])
def test_children_go_and_plain_ports_stay(dovecot: str, cluster: Cluster, report: Report) -> None:
    scene = Scene(cluster, f"removed-{dovecot.replace('.', '')}", INDEX, dovecot)
    scene.create()
    uid = cluster.api.get("MailProxy", "mail", scene.mail)["metadata"]["uid"]
    kinds = {child.partition(" ")[0] for child in find_children(scene, uid)}
    assert kinds >= {"IngressRouteTCP", "Service", "NetworkPolicy", "ConfigMap"}, kinds

    cluster.api.delete("MailProxy", "mail", scene.mail)

    wait_for(lambda: not find_children(scene, uid), GONE_SECONDS, lambda: find_children(scene, uid))
    address = scene.cluster_ip("mail-server", scene.mail)
    visitor = Visitor(scene, address, through_edge=False, way="MailProxy deleted")
    with ThreadPoolExecutor(len(PortName)) as pool:
        for proof in pool.map(visitor.prove, PortName):
            report.add(proof)
    assert scene.is_mail_server_ready()
    scene.delete()
