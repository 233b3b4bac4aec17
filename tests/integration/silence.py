"""Many MailProxies on one edge, and whether the operator is silent once all is as it should be."""

import time

from tests.controlplane.api import wait_for
from tests.controlplane.audit import Request
from tests.integration.cluster import Cluster
from tests.integration.scene import Scene

START_SECONDS = 120.0


def serve_many(cluster: Cluster, count: int) -> Scene:
    """Start the operator and apply MailProxies, which follow a change of the edge; then silence."""
    cluster.operator.start()
    scene = Scene(cluster.api)
    scene.add_edge("10.1.0.1")
    for number in range(count):
        scene.apply(
            _name(number),
            hostname=f"host{number}.example.com",
            mailServer={"podSelector": {"matchLabels": {"app": f"mail{number}"}}},
            ports=[
                {"name": "imaps", "sni": "Hostname"},
                {"name": "submissions", "sni": "Hostname"},
            ],
        )
    _wait_until_all_trust(scene, count, 1)
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    _wait_until_all_trust(scene, count, 2)
    wait_for_silence(cluster, 5)
    return scene


def touch_all(scene: Scene, count: int) -> None:
    """Make the operator look at each again: a label changes nothing that it acts upon."""
    patch = {"metadata": {"labels": {"seen": "again"}}}
    for number in range(count):
        scene.api.merge_patch("MailProxy", _name(number), patch, scene.mail)


def wait_for_silence(cluster: Cluster, seconds: float) -> list[Request]:
    """Wait until the operator has written nothing for so long; returns its writes so far."""
    writes: list[Request] = []
    since = time.monotonic()

    def is_silent() -> bool:
        nonlocal writes, since
        now = cluster.audit.writes()
        if len(now) != len(writes):
            writes, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_for(is_silent, seconds + START_SECONDS, "silence", interval=1)
    return writes


def _wait_until_all_trust(scene: Scene, count: int, trusted: int) -> None:
    """Wait until the status of all MailProxies shows so many trusted networks."""

    def are_trusting() -> bool:
        statuses = [item.get("status", {}) for item in scene.api.list("MailProxy", scene.mail)]
        return len(statuses) == count and all(
            status.get("trustedCount") == trusted and status["portsSummary"] == "2/2"
            for status in statuses
        )

    wait_for(are_trusting, START_SECONDS, interval=1)


def _name(number: int) -> str:
    return f"mail{number:03}"
