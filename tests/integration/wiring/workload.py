"""A user's mail server as a workload, and the MailProxy that wants its files mounted there."""

from typing import Any

from tests.controlplane.api import Manifest
from tests.controlplane.audit import Request
from tests.controlplane.edge import MAIL_LABELS
from tests.integration.cluster import Installation
from tests.integration.scene import Scene

CONSENT = "mailproxy.dev/allow-wiring"
WORKLOADS = ("deployments", "statefulsets")


def find_writes(installed: Installation, scene: Scene) -> list[Request]:
    """What the operator has written to the workloads of a scene."""
    return [w for w in installed.audit.writes(scene.mail) if w.resource in WORKLOADS]


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
