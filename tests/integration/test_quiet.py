"""Two hundred MailProxies, and then silence."""

import time

import pytest

from tests.controlplane.api import wait_for
from tests.integration.scene import Scene
from tests.integration.stage import Stage

PROXIES = 200
QUIET_SECONDS = 120.0
START_SECONDS = 120.0


def _apply_many(scene: Scene) -> None:
    for number in range(PROXIES):
        scene.apply(
            f"mail{number:03}",
            hostname=f"host{number}.example.com",
            mailServer={"podSelector": {"matchLabels": {"app": f"mail{number}"}}},
            ports=[
                {"name": "imaps", "sni": "Hostname"},
                {"name": "submissions", "sni": "Hostname"},
            ],
        )


def _are_trusting(scene: Scene, count: int) -> bool:
    statuses = [item.get("status", {}) for item in scene.api.list("MailProxy", scene.mail)]
    return len(statuses) == PROXIES and all(
        status.get("trustedCount") == count and status["portsSummary"] == "2/2"
        for status in statuses
    )


@pytest.mark.timeout(900)
def test_two_hundred_follow_one_edge_and_then_nothing_is_written(stage: Stage) -> None:
    scene = stage.open()
    stage.operator.start()
    scene.add_edge("10.1.0.1")
    _apply_many(scene)
    wait_for(lambda: _are_trusting(scene, 1), START_SECONDS, interval=1)
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    wait_for(lambda: _are_trusting(scene, 2), START_SECONDS, interval=1)
    _wait_for_silence(stage, seconds=5)

    # A second look at everything: labels change nothing that we ask for.
    before = len(stage.audit.writes())
    for number in range(PROXIES):
        patch = {"metadata": {"labels": {"seen": "again"}}}
        scene.api.merge_patch("MailProxy", f"mail{number:03}", patch, scene.mail)
    _wait_for_silence(stage, seconds=QUIET_SECONDS)
    assert stage.audit.writes()[before:] == []
    assert "Traceback" not in stage.operator.log


def _wait_for_silence(stage: Stage, seconds: float) -> None:
    """Return when the operator has written nothing for so long."""
    seen, since = -1, time.monotonic()

    def is_silent() -> bool:
        nonlocal seen, since
        if (now := len(stage.audit.writes())) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_for(is_silent, seconds + START_SECONDS, "silence", interval=1)
