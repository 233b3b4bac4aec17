"""`Ready`: the sum of all other conditions."""

from collections.abc import Sequence

from mailproxy.api.conditions import ConditionType
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.finding import _FALSE, _TRUE, Finding


def summarize(findings: Sequence[Finding]) -> Finding:
    """`Ready`: the first finding that fails or whose turn has not come.

    What can never be known, such as entryPoints in a file, does not fail it.
    """
    for finding in sorted(findings, key=lambda finding: finding.status != _FALSE):
        if finding.status == _FALSE or finding.reason == Reason.PENDING:
            return Finding(ConditionType.READY, finding.status, finding.reason, finding.message)
    message = (
        "Mail can flow: edge, entryPoints, routes, trust and mail server are as they should be."
    )
    return Finding(ConditionType.READY, _TRUE, Reason.READY, message)
