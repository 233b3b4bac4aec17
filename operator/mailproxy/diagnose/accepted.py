"""`Accepted`: the spec is valid and conflicts with no older MailProxy."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.identity import ObjectRef

CONDITION = ConditionType.ACCEPTED


def owns(proxy: MailProxy, ref: ObjectRef) -> bool:
    """No object: the plan itself refuses what is not accepted."""
    del proxy, ref
    return False


def inspect(case: Case) -> Iterator[Finding]:
    """The conflict, if there is one; refused files of the user's are findings of the plan."""
    if case.plan.conflict is not None:
        yield case.plan.conflict
    message = "The spec is valid and conflicts with no older MailProxy."
    yield Finding(CONDITION, Reason.ACCEPTED, message)
