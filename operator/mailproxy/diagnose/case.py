"""All that a condition is judged by."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.identity import ObjectRef
from mailproxy.observed.evidence import Evidence
from mailproxy.observed.world import World
from mailproxy.plan.model import Plan


@dataclass(frozen=True)
class Case:
    """One MailProxy, what was observed and tried, what was decided, and what went wrong.

    `failures` are what went wrong when the plan was carried out.
    """

    proxy: MailProxy
    world: World
    evidence: Evidence
    plan: Plan
    failures: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the plan, and what went wrong when it was carried out."""
        return *self.plan.findings, *self.failures

    @property
    def has_conflict(self) -> bool:
        """Whether an older MailProxy stands in the way, so that little was done."""
        return self.plan.conflict is not None


class Judge(Protocol):
    """A module of this package: it owns one condition, its reasons, and some objects."""

    CONDITION: ConditionType

    def owns(self, proxy: MailProxy, ref: ObjectRef) -> bool:
        """Whether a failure to write this object belongs to the condition."""

    def inspect(self, case: Case) -> Iterator[Finding]:
        """What is wrong, unknown, worth knowing or right, in the order of importance.

        The gravest decides: False before Unknown before advice. Of equal ones the first does.
        """
