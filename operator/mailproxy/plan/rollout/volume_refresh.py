"""Which mail pods get a volume refresh: an annotation makes the kubelet sync their ConfigMaps now.

By itself it does so after up to 90 s, so a changed list of trusted proxies would arrive that late.
"""

import re
from collections.abc import Sequence

from mailproxy.api.mail_server import TrustUpdate
from mailproxy.api.mailproxy import MailProxy
from mailproxy.observed.evidence import Evidence
from mailproxy.plan.model import Plan

_NUMBERED = re.compile(r"(?P<hash>[0-9a-f]+)(\.(?P<number>[2-9]))?")
_MOST_REPEATS = 8  # what the number has room for


def wants_volume_refresh(proxy: MailProxy, plan: Plan) -> bool:
    """Whether mail pods are to be annotated; those of a conflict belong to another MailProxy."""
    return proxy.spec.mail_server.trust_update == TrustUpdate.RELOAD and plan.conflict is None


def is_header_rejected(evidence: Evidence, plan: Plan) -> bool:
    """Whether the mail server is known to reject the PROXY header of a proxy pod."""
    return any(evidence.accepts(pod) is False for pod in plan.edge.pods)


def count_refreshes(annotation: str, trust_hash: str) -> int:
    """How often a pod with this annotation was refreshed for the list; 0 for any other text."""
    match = _NUMBERED.fullmatch(annotation)
    if match is None or match["hash"] != trust_hash:
        return 0
    return int(match["number"] or 1)


def find_pause(count: int, pauses: Sequence[float], *, rejected: bool) -> float | None:
    """Seconds between the last of so many refreshes and the next; None if there is none to come.

    The kubelet may have synced before it heard of the change. If a proxy pod is still rejected so
    many seconds after a refresh, the next one follows; after the last one the cause lies elsewhere.
    """
    if count == 0:
        return 0.0
    return pauses[count - 1] if rejected and count <= min(len(pauses), _MOST_REPEATS) else None


def build_annotation(trust_hash: str, number: int) -> str:
    """Text of the refresh of that number: each differs from the one before it."""
    return trust_hash if number == 1 else f"{trust_hash}.{number}"
