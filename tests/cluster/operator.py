"""The operator in the cluster: our own image, installed as README says."""

from tests.cluster.cluster import ROOT, Cluster
from tests.controlplane.api import wait_for

MANIFESTS = ROOT / "manifests"
NAMESPACE = "mailproxy-system"
READY_SECONDS = 60.0


def install_operator(cluster: Cluster, folder: str = "default") -> None:
    """`kubectl apply -k manifests/default`; returns when the operator is ready.

    Args:
        folder: Of `manifests`; `minimal` may not refresh the volumes of mail pods.
    """
    cluster.run_kubectl("apply", "-k", str(MANIFESTS / folder))

    def is_available() -> bool:
        deployment = cluster.api.get("Deployment", "mailproxy-operator", NAMESPACE)
        return bool(deployment["status"].get("availableReplicas"))

    wait_for(is_available, READY_SECONDS, lambda: cluster.describe_pods(NAMESPACE), interval=0.1)
