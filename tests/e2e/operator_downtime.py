"""The operator is away while pods of the edge go and come."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cluster.cluster import Cluster
from tests.cluster.operator import NAMESPACE, install_operator
from tests.cluster.scene import SETTLE_SECONDS, Scene
from tests.controlplane.api import wait_for
from tests.controlplane.conditions import is_ready
from tests.e2e import server_log
from tests.e2e.replacement import IMAP, addresses_of, find_edge_pods, has_banner


@contextmanager
def operator_away(cluster: Cluster) -> Iterator[Callable[[], None]]:
    """Without the operator, until the function that is given is called, or to the end."""

    def run(replicas: int) -> None:
        name, namespace = "mailproxy-operator", NAMESPACE
        spec = {"spec": {"replicas": replicas}}
        cluster.api.merge_patch("Deployment", name, spec, namespace)

        def is_done() -> bool:
            pods = cluster.api.list("Pod", namespace)
            running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
            return len(running) == len(pods) == replicas

        wait_for(is_done, SETTLE_SECONDS, f"{replicas} pods of the operator", interval=0.02)

    run(0)
    try:
        yield lambda: run(1)
    finally:
        run(1)
        install_operator(cluster)


@dataclass(frozen=True)
class Absence:
    """The edge meanwhile: addresses of the pod that came and of the one that stays."""

    scene: Scene
    new: str
    survivor: str


def replace_without_operator(scene: Scene) -> Absence:
    """Replace one of two edge pods; the new one is ready then."""
    known = find_edge_pods(scene)
    survivor, name = sorted(known)
    scene.cluster.api.delete("Pod", name, scene.edge)

    def find_ready() -> list[str]:
        pods = [pod for n, pod in find_edge_pods(scene).items() if n not in known and is_ready(pod)]
        return addresses_of(pods[0]) if pods else []

    new = wait_for(find_ready, SETTLE_SECONDS, "a new pod of the edge")
    return Absence(scene, new[0], addresses_of(known[survivor])[0])


def expect_nothing_new(absence: Absence) -> None:
    """The log says that the new pod was refused; the one that stays is believed."""

    def is_refused() -> bool:
        assert not has_banner(absence.new, IMAP.port), f"{absence.new} is believed"
        peers = server_log.find_untrusted_peers(absence.scene.logs())
        return absence.new in {str(peer.address) for peer in peers}

    wait_for(is_refused, SETTLE_SECONDS, f"`Client not trusted (rip={absence.new})`", interval=0.1)
    assert has_banner(absence.survivor, IMAP.port), f"{absence.survivor} is not believed any more"
