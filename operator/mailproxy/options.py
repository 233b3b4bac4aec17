"""Every duration and limit of the operator, in one place; the command line can set each.

Durations are in seconds. Tests give short ones and wait for nothing.
"""

from dataclasses import dataclass, field
from typing import Any


def _option(default: Any, help: str) -> Any:  # noqa: A002  argparse calls it so
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Options:
    """How long the operator waits for what, and how much it does at a time."""

    workers: int = _option(8, "reconciles at a time")
    recheck_seconds: float = _option(30.0, "look again at what the API server refuses")
    resync_min_seconds: float = _option(240.0, "look again at every MailProxy, at the earliest")
    resync_max_seconds: float = _option(360.0, "look again at every MailProxy, at the latest")
    neighbor_delay_seconds: float = _option(
        0.2, "look at the neighbors of a changed MailProxy, so that a batch of them is one round"
    )
    retry_min_seconds: float = _option(0.25, "first retry of a reconcile that failed")
    retry_max_seconds: float = _option(300.0, "longest wait between two retries of a reconcile")

    request_seconds: float = _option(10.0, "longest request to the API server")
    max_writes: int = _option(16, "writes to the API server at a time")
    token_seconds: float = _option(60.0, "read the service account's token again")
    watch_min_seconds: float = _option(240.0, "shortest watch that is asked for")
    watch_max_seconds: float = _option(300.0, "longest watch that is asked for")
    watch_idle_seconds: float = _option(
        75.0, "end a silent watch; the API server sends a bookmark each minute"
    )
    watch_short_seconds: float = _option(
        5.0, "a watch that ends sooner without an event has failed"
    )
    watch_retry_min_seconds: float = _option(0.2, "first retry of a watch that failed")
    watch_retry_max_seconds: float = _option(30.0, "longest wait between two retries of a watch")
    watch_keep_seconds: float = _option(30.0, "keep a watch that nobody needs any more")
    not_served_seconds: float = _option(5.0, "ask again whether a missing CRD is installed")

    max_probes: int = _option(16, "connections through proxy pods at a time")
    probe_fast_seconds: float = _option(10.0, "how long a new proxy pod is probed often")
    probe_fast_pause_seconds: float = _option(0.5, "pause between two of these probes")
    probe_max_pause_seconds: float = _option(60.0, "longest pause between two probes")
    probe_accepted_pause_seconds: float = _option(
        300.0, "pause between two probes of a proxy pod whose header is accepted"
    )
    probe_min_patience_seconds: float = _option(1.0, "shortest wait for a greeting")
    probe_max_patience_seconds: float = _option(5.0, "longest wait for a greeting")
    probe_grace_seconds: float = _option(
        2.0, "how long a proxy pod must be rejected before that is reported"
    )
    probe_accepted_grace_seconds: float = _option(
        10.0, "the same for a proxy pod whose header was accepted before"
    )

    volume_refresh_pauses: tuple[float, ...] = _option(
        (5.0, 15.0, 45.0), "waits before a volume refresh is repeated"
    )
    volume_refresh_forbidden_seconds: float = _option(
        300.0, "try again to refresh a volume after the API server has forbidden it"
    )
    volume_refresh_retry_seconds: float = _option(
        5.0, "try again to refresh a volume after an error that may heal"
    )
    workload_search_min_seconds: float = _option(
        240.0, "look again for workloads with leftover changes, at the earliest"
    )
    workload_search_max_seconds: float = _option(
        360.0, "look again for workloads with leftover changes, at the latest"
    )
    workload_search_retry_seconds: float = _option(5.0, "the same after an error that may heal")

    event_burst: int = _option(25, "events at once about one MailProxy")
    event_refill_seconds: float = _option(300.0, "wait for one more event about the same MailProxy")
    login_max_delay_seconds: float = _option(30.0, "longest wait between two logins of kopf")
    exit_seconds: float = _option(25.0, "how long kopf may take to end")
