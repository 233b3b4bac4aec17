"""The one shape of "something is wrong", and of what is right."""

from dataclasses import dataclass

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.api.reasons import Reason
from mailproxy.identity import ObjectRef


@dataclass(frozen=True)
class Finding:
    """What is said of one condition.

    `message` is whole sentences that name object, field, value and remedy. `object` is what has
    the problem, if that is an object in the MailProxy's namespace; `line` the line of a user's
    file, counted from 1.
    """

    condition: ConditionType
    reason: Reason
    message: str
    object: ObjectRef | None = None
    line: int | None = None

    @property
    def status(self) -> ConditionStatus:
        """Status of the condition."""
        is_summary = self.condition == ConditionType.READY
        return self.reason.ready if is_summary else self.reason.status

    @property
    def severity(self) -> int:
        """Which of several findings decides a condition: the lowest number does."""
        order = (ConditionStatus.FALSE, ConditionStatus.UNKNOWN, ConditionStatus.TRUE)
        return 2 * order.index(self.status) - self.reason.advisory
