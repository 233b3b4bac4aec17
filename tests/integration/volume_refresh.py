"""The annotation of mail pods that refreshes their volumes, and the requests that write it."""

from tests.controlplane.api import wait_for
from tests.controlplane.audit import AuditLog, Request
from tests.integration.scene import SETTLE_SECONDS, Scene

ANNOTATION = "mailproxy.dev/trust-hash"


def read_annotation(scene: Scene, pod: str = "dms-0") -> str:
    """The annotation of a mail pod; empty without one."""
    metadata = scene.api.get("Pod", pod, scene.mail)["metadata"]
    return str(metadata.get("annotations", {}).get(ANNOTATION, ""))


def wait_for_refresh(scene: Scene, *pods: str) -> str:
    """Wait until these pods carry the hash of the present list; returns it."""
    names = pods or ("dms-0",)

    def are_refreshed() -> str:
        trust_hash = str(scene.status().get("trustHash", ""))
        return trust_hash * all(read_annotation(scene, pod) == trust_hash for pod in names)

    return wait_for(are_refreshed, SETTLE_SECONDS, lambda: scene.status().get("trustHash"))


def find_refreshes(audit: AuditLog, scene: Scene) -> list[Request]:
    """Requests of the operator to change a mail pod."""
    return [request for request in audit.writes(scene.mail) if request.resource == "pods"]
