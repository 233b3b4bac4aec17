"""A new pod of the edge is believed as soon as it has an address."""

import time

from tests.cluster.scene import Scene
from tests.cluster.workloads import PROXY_LABELS, build_pod
from tests.controlplane.api import wait_for

TRUST_FILE = "/etc/mailproxy/trust/dovecot-trust.conf"
AT_ONCE_SECONDS = 2.0
KUBELET_SECONDS = 100.0  # it looks again after 60 to 90 s, whoever has changed what


def trusted(text: str) -> set[str]:
    """Addresses in the file that Dovecot includes."""
    return set(text.partition("=")[2].split())


def test_unready_edge_pod_gets_into_the_config_map_at_once_and_then_into_the_mount(
    scene: Scene,
) -> None:
    api = scene.cluster.api
    scene.apply(build_pod(scene.edge, "newcomer", PROXY_LABELS, ready=False))
    addresses = set(scene.pod_addresses(scene.edge, "newcomer"))
    has_address = time.monotonic()

    def in_config_map() -> bool:
        data = api.get("ConfigMap", "mail-trust", scene.mail)["data"]
        return addresses <= trusted(data["dovecot-trust.conf"])

    wait_for(in_config_map, AT_ONCE_SECONDS, f"{addresses} in the ConfigMap")
    in_map = time.monotonic()

    def in_mount() -> bool:
        return addresses <= trusted(scene.run_in_mail_server("cat", TRUST_FILE))

    wait_for(in_mount, KUBELET_SECONDS, f"{addresses} in {TRUST_FILE}", interval=1)
    in_file = time.monotonic()
    print(f"ConfigMap {in_map - has_address:.3f} s, mount {in_file - has_address:.1f} s after it")
    api.delete("Pod", "newcomer", scene.edge)
