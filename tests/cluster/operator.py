"""The operator in the cluster: our own image, installed as README says."""

from tests.cluster.cluster import ROOT, Cluster
from tests.controlplane.api import wait_for

MANIFESTS = ROOT / "manifests" / "live"
NAMESPACE = "mailproxy-system"
READY_SECONDS = 60.0


def install_operator(cluster: Cluster) -> None:
    """`kubectl apply -k manifests/live`; returns when the operator is ready."""
    cluster.run_kubectl("apply", "-k", str(MANIFESTS))

    def is_available() -> bool:
        deployment = cluster.api.get("Deployment", "mailproxy-operator", NAMESPACE)
        return bool(deployment["status"].get("availableReplicas"))

    wait_for(is_available, READY_SECONDS, lambda: cluster.describe_pods(NAMESPACE), interval=0.1)
