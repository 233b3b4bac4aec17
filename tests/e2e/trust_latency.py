"""How soon the addresses of a new edge pod are where Dovecot reads them."""

import time
from dataclasses import dataclass
from pathlib import Path

from mailproxy.plan.trust.files import TRUST_FILE
from tests.cluster.scene import Scene
from tests.cluster.workloads import PROXY_LABELS, build_pod
from tests.controlplane.api import wait_for

NEW_POD = "new-edge-pod"
AT_ONCE_SECONDS = 30.0  # without a volume refresh the kubelet takes up to 90


@dataclass(frozen=True)
class TrustLatency:
    """Seconds from the moment a pod has addresses until they are in the list."""

    in_config_map: float
    in_mount: float


def measure_trust_latency(scene: Scene) -> TrustLatency:
    """Add a pod to the edge that never becomes ready, and follow its addresses.

    Raises:
        AssertionError: They are not there in time.
    """
    scene.apply(build_pod(scene.edge, NEW_POD, PROXY_LABELS, ready=False))
    addresses = set(scene.pod_addresses(scene.edge, NEW_POD))
    began = time.monotonic()

    def in_config_map() -> bool:
        data = scene.cluster.api.get("ConfigMap", "mail-trust", scene.mail)["data"]
        return addresses <= read_trusted(data[TRUST_FILE])

    mounted = find_mounted(scene)

    def in_mount() -> bool:
        return addresses <= read_trusted(mounted.read_text())

    wait_for(in_config_map, AT_ONCE_SECONDS, f"{addresses} in the ConfigMap")
    mapped = time.monotonic()
    wait_for(in_mount, AT_ONCE_SECONDS, f"{addresses} in {mounted}")
    return TrustLatency(mapped - began, time.monotonic() - began)


def find_mounted(scene: Scene) -> Path:
    """The file that the mail server's pod has mounted, where the kubelet writes it."""
    pod: Path = scene.cluster.run / "kubelet" / "pods" / scene.mail_pod()["metadata"]["uid"]
    return pod / "volumes" / "kubernetes.io~configmap" / "trust" / TRUST_FILE


def read_trusted(text: str) -> set[str]:
    """Addresses of proxies in the file that Dovecot includes."""
    return set(text.partition("=")[2].partition("\n")[0].split())
