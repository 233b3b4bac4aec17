"""Pods of the edge are replaced while the operator is down."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cluster.cluster import Cluster
from tests.cluster.operator import NAMESPACE, install_operator
from tests.cluster.scene import SETTLE_SECONDS, Scene
from tests.controlplane.api import wait_for
from tests.controlplane.conditions import is_ready
from tests.e2e import server_log
from tests.e2e.replacement import IMAP, addresses_of, find_edge_pods, read_greeting


@contextmanager
def operator_down(cluster: Cluster) -> Iterator[Callable[[], None]]:
    """Stop the operator; the yielded function, or the end of the context, starts it again."""

    def scale(replicas: int) -> None:
        name, namespace = "mailproxy-operator", NAMESPACE
        spec = {"spec": {"replicas": replicas}}
        cluster.api.merge_patch("Deployment", name, spec, namespace)

        def is_done() -> bool:
            pods = cluster.api.list("Pod", namespace)
            running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
            return len(running) == len(pods) == replicas

        wait_for(is_done, SETTLE_SECONDS, f"{replicas} pods of the operator", interval=0.02)

    scale(0)
    try:
        yield lambda: scale(1)
    finally:
        scale(1)
        install_operator(cluster)


@dataclass(frozen=True)
class Downtime:
    """Addresses of the edge pod that is new, and of the one that stays."""

    scene: Scene
    new: str
    survivor: str


def replace_edge_pod(scene: Scene) -> Downtime:
    """Replace one of two edge pods; returns when the new one is ready."""
    known = find_edge_pods(scene)
    survivor, name = sorted(known)
    scene.cluster.api.delete("Pod", name, scene.edge)

    def find_ready() -> list[str]:
        pods = [pod for n, pod in find_edge_pods(scene).items() if n not in known and is_ready(pod)]
        return addresses_of(pods[0]) if pods else []

    new = wait_for(find_ready, SETTLE_SECONDS, "a new pod of the edge")
    return Downtime(scene, new[0], addresses_of(known[survivor])[0])


def check_trust_is_unchanged(downtime: Downtime) -> None:
    """Headers from the new pod are rejected, as the log says; those from the other accepted."""

    def is_rejected() -> bool:
        greeting = read_greeting(downtime.new, IMAP.port)
        assert greeting == "closed", f"{downtime.new}: {greeting}"
        peers = server_log.find_untrusted_peers(downtime.scene.logs())
        return downtime.new in {str(peer.address) for peer in peers}

    message = f"`Client not trusted (rip={downtime.new})`"
    wait_for(is_rejected, SETTLE_SECONDS, message, interval=0.1)
    greeting = read_greeting(downtime.survivor, IMAP.port)
    assert greeting == "greeted", f"{downtime.survivor}: {greeting}"
