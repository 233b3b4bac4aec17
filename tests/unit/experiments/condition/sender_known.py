"""`SenderKnown`: a condition that only an experiment has."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.identity import ObjectRef

CONDITION = ConditionType.SENDER_KNOWN


def owns(proxy: MailProxy, ref: ObjectRef) -> bool:
    """No object."""
    del proxy, ref
    return False


def inspect(case: Case) -> Iterator[Finding]:
    """Whether the host name begins with `mail`."""
    if not case.proxy.spec.hostname.startswith("mail."):
        yield Finding(CONDITION, Reason.SENDER_MISSING, "Nobody knows this sender. Rename it.")
    yield Finding(CONDITION, Reason.SENDER_FOUND, "Everybody knows this sender.")
