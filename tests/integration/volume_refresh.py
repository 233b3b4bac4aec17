"""The annotation by which mail pods are poked, and requests that poke them."""

from tests.controlplane.api import wait_for
from tests.controlplane.audit import AuditLog, Request
from tests.integration.scene import SETTLE_SECONDS, Scene

ANNOTATION = "mailproxy.dev/trust-hash"


def read_poke(scene: Scene, pod: str = "dms-0") -> str:
    """The annotation of a mail pod; empty without one."""
    metadata = scene.api.get("Pod", pod, scene.mail)["metadata"]
    return str(metadata.get("annotations", {}).get(ANNOTATION, ""))


def wait_for_poke(scene: Scene, *pods: str) -> str:
    """Wait until these pods have been poked for the present list; returns its hash."""

    def are_poked() -> str:
        trust_hash = str(scene.status().get("trustHash", ""))
        return trust_hash * all(read_poke(scene, pod) == trust_hash for pod in pods or ("dms-0",))

    return wait_for(are_poked, SETTLE_SECONDS, lambda: scene.status().get("trustHash"))


def find_pokes(audit: AuditLog) -> list[Request]:
    """Requests of the operator to change a pod."""
    return [request for request in audit.writes() if request.resource == "pods"]
