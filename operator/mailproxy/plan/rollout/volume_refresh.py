"""Which mail pods are poked: an annotation makes the kubelet look at their ConfigMaps at once.

By itself it looks after up to 90 s, so a changed list of trusted proxies would arrive that late.
"""

import re

from mailproxy.api.mail_server import TrustUpdate
from mailproxy.api.mailproxy import MailProxy
from mailproxy.observed.world import World
from mailproxy.plan.model import Plan

# The kubelet may have looked before it heard of the change. Where a proxy pod is still refused so
# many seconds after a poke, the next one follows; after the last one there is another cause.
PAUSES = (5.0, 15.0, 45.0)
_NUMBERED = re.compile(r"(?P<hash>[0-9a-f]+)(\.(?P<number>[2-9]))?")


def wants_pokes(proxy: MailProxy, plan: Plan) -> bool:
    """Whether mail pods are to be poked; while another MailProxy has them, they are its own."""
    return proxy.spec.mail_server.trust_update == TrustUpdate.RELOAD and plan.conflict is None


def is_doubted(world: World, plan: Plan) -> bool:
    """Whether a proxy pod is known not to be believed."""
    return any(
        world.beliefs.get(address) is False for pod in plan.edge.pods for address in pod.addresses
    )


def count_pokes(annotation: str, trust_hash: str) -> int:
    """How often a pod with this annotation was poked for the list; 0 for any other text."""
    match = _NUMBERED.fullmatch(annotation)
    if match is None or match["hash"] != trust_hash:
        return 0
    return int(match["number"] or 1)


def find_pause(pokes: int, *, doubted: bool) -> float | None:
    """Seconds between the last of so many pokes and the next; None when there is none to come."""
    if pokes == 0:
        return 0.0
    return PAUSES[pokes - 1] if doubted and pokes <= len(PAUSES) else None


def build_annotation(trust_hash: str, number: int) -> str:
    """Text of the poke of that number: each differs from the one before it."""
    return trust_hash if number == 1 else f"{trust_hash}.{number}"
