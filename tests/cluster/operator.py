"""The operator in the cluster: our own image, installed as README says."""

from pathlib import Path

from tests.cluster.cluster import ROOT, Cluster
from tests.controlplane.api import wait_for

MANIFESTS = ROOT / "manifests" / "default"
NAMESPACE = "mailproxy-system"
READY_SECONDS = 60.0


def install_operator(cluster: Cluster, manifests: Path = MANIFESTS) -> None:
    """`kubectl apply -k manifests/default`; returns when the operator is ready."""
    cluster.run_kubectl("apply", "-k", str(manifests))

    def is_available() -> bool:
        deployment = cluster.api.get("Deployment", "mailproxy-operator", NAMESPACE)
        return bool(deployment["status"].get("availableReplicas"))

    def explain() -> str:
        answer = cluster.run_kubectl("describe", "pods", f"--namespace={NAMESPACE}")
        return answer.stdout[-3000:]

    wait_for(is_available, READY_SECONDS, explain, interval=0.1)
