"""What tests of wiring play with: the operator as its own account, and a user's mail server."""

from typing import Any, NamedTuple

from tests.controlplane.api import Api, Manifest
from tests.controlplane.audit import AuditLog
from tests.controlplane.edge import MAIL_LABELS
from tests.controlplane.server import ControlPlane
from tests.integration.scene import Scene
from tests.operator_process import OperatorProcess

SYSTEM = "elsewhere"  # `namespace:` of a user's own kustomization
OPERATOR = "mailproxy-operator"
CONSENT = "mailproxy.dev/allow-wiring"
WORKLOADS = ("deployments", "statefulsets")


class Installation(NamedTuple):
    """A control plane with mailproxy and the component, and the operator's process."""

    plane: ControlPlane
    api: Api
    audit: AuditLog
    operator: OperatorProcess

    def writes(self) -> list[Any]:
        """What the operator has written to workloads."""
        return [w for w in self.audit.writes() if w.resource in WORKLOADS]


def workload(scene: Scene, kind: str = "Deployment", *, consents: bool = True) -> Manifest:
    """The user's manifest of a mail server with a volume and a mount of its own."""
    container = {
        "name": "mail",
        "image": "mailserver",
        "env": [{"name": "LOG_LEVEL", "value": "info"}],
        "volumeMounts": [{"name": "data", "mountPath": "/var/mail"}],
    }
    pod = {
        "containers": [container, {"name": "exporter", "image": "exporter"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    own = {"strategy": {"type": "Recreate"}} if kind == "Deployment" else {"serviceName": "dms"}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": "dms",
            "namespace": scene.mail,
            "annotations": {CONSENT: "true"} if consents else {"note": "mine"},
        },
        "spec": own
        | {
            "selector": {"matchLabels": MAIL_LABELS},
            "template": {"metadata": {"labels": MAIL_LABELS}, "spec": pod},
        },
    }


def mail_server(kind: str = "Deployment", name: str = "dms", **content: Any) -> Manifest:
    """`spec.mailServer` of a MailProxy that wants its files mounted."""
    reference = {"kind": kind, "name": name}
    wanted = {"podSelector": {"matchLabels": MAIL_LABELS}, "workloadRef": reference}
    return wanted | {"wiring": "Inject"} | content
