"""`Ready`: the sum of all other conditions."""

from collections.abc import Sequence

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.reasons import Reason


def summarize(findings: Sequence[Finding]) -> Finding:
    """Repeat the first finding that fails, else the first that is pending, else say what is right.

    What can never be known, such as entryPoints in a file, does not fail it.
    """
    failed = [f for f in findings if f.status == ConditionStatus.FALSE]
    pending = [f for f in findings if f.reason == Reason.PENDING]
    for finding in (*failed, *pending):
        return Finding(ConditionType.READY, finding.reason, finding.message, finding.object)
    checked = [f.condition.subject for f in findings if f.status == ConditionStatus.TRUE]
    unknown = [f.condition.subject for f in findings if f.status == ConditionStatus.UNKNOWN]
    message = f"All checks passed: {', '.join(checked)}."
    if unknown:
        message += f" Not known: {', '.join(unknown)}."
    return Finding(ConditionType.READY, Reason.READY, message)
