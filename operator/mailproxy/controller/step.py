"""One pass over one MailProxy, and what its steps have in common."""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.controller.memory import Memory
from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.kube.errors import TransientError
from mailproxy.observed.evidence import Evidence
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.observed.world import World
from mailproxy.plan.model import Plan


@dataclass
class Pass:
    """A pass: what it starts from, and what its steps add.

    `failures` are what a user must fix, `errors` the writes that may succeed later, `changed` is
    whether any child changed, and `again_in` the seconds until the next pass is due.
    """

    stored: StoredProxy
    proxy: MailProxy
    world: World
    plan: Plan
    memory: Memory
    again_in: float
    evidence: Evidence = field(default_factory=Evidence)
    failures: list[Finding] = field(default_factory=list)
    errors: dict[ObjectRef, TransientError] = field(default_factory=dict)
    changed: bool = False

    @property
    def key(self) -> ObjectKey:
        """Which MailProxy it is."""
        return self.stored.key

    def learn(self, **evidence: Any) -> None:
        """Add to what is known from trying."""
        self.evidence = replace(self.evidence, **evidence)

    def come_back_in(self, seconds: float | None) -> None:
        """Have the next pass in so many seconds at the latest."""
        if seconds is not None:
            self.again_in = min(self.again_in, seconds)

    def is_written(self, ref: ObjectRef) -> bool:
        """Whether an object of the plan is now as it should be."""
        return ref not in self.errors and ref not in {f.object for f in self.failures}

    def raise_error(self) -> None:
        """Raise the first of `errors`, if there is one."""
        for error in self.errors.values():
            raise error


class Step(Protocol):
    """A part of a pass; steps run one after the other."""

    async def run(self, current: Pass) -> None:
        """Do the step's work. Raises TransientError, OwnerGoneError."""
