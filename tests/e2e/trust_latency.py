"""A new pod of the edge, and when its addresses stand where Dovecot finds them."""

import time
from dataclasses import dataclass
from pathlib import Path

from mailproxy.plan.trust.files import TRUST_FILE
from tests.cluster.scene import Scene
from tests.cluster.workloads import PROXY_LABELS, build_pod
from tests.controlplane.api import wait_for

NEWCOMER = "newcomer"
AT_ONCE_SECONDS = 10.0  # by itself the kubelet takes up to 90


@dataclass(frozen=True)
class Arrival:
    """Seconds from the moment a pod has addresses until these stand in the list."""

    in_config_map: float
    in_mount: float


def watch_arrival(scene: Scene) -> Arrival:
    """Add a pod to the edge that never becomes ready, and follow its addresses.

    Raises:
        AssertionError: They are not there in time.
    """
    scene.apply(build_pod(scene.edge, NEWCOMER, PROXY_LABELS, ready=False))
    addresses = set(scene.pod_addresses(scene.edge, NEWCOMER))
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
    return Arrival(mapped - began, time.monotonic() - began)


def find_mounted(scene: Scene) -> Path:
    """The file that the mail server's pod has mounted, where the kubelet writes it."""
    pod: Path = scene.cluster.run / "kubelet" / "pods" / scene.mail_pod()["metadata"]["uid"]
    return pod / "volumes" / "kubernetes.io~configmap" / "trust" / TRUST_FILE


def read_trusted(text: str) -> set[str]:
    """Addresses of proxies in the file that Dovecot includes."""
    return set(text.partition("=")[2].partition("\n")[0].split())
