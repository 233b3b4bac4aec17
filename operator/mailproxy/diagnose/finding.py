"""The one shape of what is said of a condition."""

from dataclasses import dataclass

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.api.reasons import Reason

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True)
class Finding:
    """One condition without its times."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str
