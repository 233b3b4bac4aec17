"""Events that tell of changes between two statuses."""

from dataclasses import dataclass
from typing import Literal

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.diagnose.status import Status, known_conditions


@dataclass(frozen=True)
class EventNote:
    """One event to record about a MailProxy."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


def find_event_notes(previous: Status, current: Status) -> list[EventNote]:
    """Events for what changed between two statuses: trust, failures, and that all is well."""
    found: list[EventNote] = []
    old, new = set(previous.get("trustedNetworks") or []), set(current["trustedNetworks"])
    if old != new:
        found.append(EventNote("Normal", "TrustChanged", _describe_change(old, new)))
    known = known_conditions(previous)
    for type_, condition in known_conditions(current).items():
        before = known.get(type_)
        if before and (before.status, before.reason) == (condition.status, condition.reason):
            continue
        is_ready = type_ == ConditionType.READY
        if is_ready and condition.status == ConditionStatus.TRUE:
            found.append(EventNote("Normal", condition.reason, condition.message))
        elif not is_ready and condition.status == ConditionStatus.FALSE:
            found.append(EventNote("Warning", condition.reason, condition.message))
    return found


def _describe_change(old: set[str], new: set[str]) -> str:
    parts = [
        f"{word} {', '.join(sorted(networks))}"
        for word, networks in (("now trusted:", new - old), ("no longer trusted:", old - new))
        if networks
    ]
    return "; ".join(parts)
