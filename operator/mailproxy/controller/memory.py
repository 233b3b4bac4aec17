"""What is remembered of each MailProxy from one pass to the next, in one place."""

from dataclasses import dataclass, field
from typing import Any

from mailproxy.controller.applied import Applied
from mailproxy.controller.probes import ProbedEdge
from mailproxy.identity import ObjectKey, ObjectRef


@dataclass(frozen=True)
class WrittenStatus:
    """The status that was written last, until the cache shows something newer than `before`."""

    before: str
    after: str
    status: dict[str, Any]


@dataclass(frozen=True)
class Refresh:
    """The last volume refresh of a pod, whoever may have overwritten its annotation since."""

    trust_hash: str
    number: int
    when: float


@dataclass
class Memory:
    """What is remembered of one MailProxy.

    `children` are records by object, `refreshes` by the mail pods' uids. `workload` is the record
    of the workload that the spec names, `wired` all that have changes of ours. `report_deferred`
    tells that children have changed and the status was left to the next pass.
    """

    children: dict[ObjectRef, Applied] = field(default_factory=dict)
    refreshes: dict[str, Refresh] = field(default_factory=dict)
    probed: ProbedEdge = field(default_factory=ProbedEdge)
    workload: Applied | None = None
    wired: set[ObjectRef] = field(default_factory=set)
    status: WrittenStatus | None = None
    report_deferred: bool = False


class Memories:
    """The memory of every MailProxy that is followed."""

    def __init__(self) -> None:
        self._memories: dict[ObjectKey, Memory] = {}

    def get(self, key: ObjectKey) -> Memory:
        """The memory of a MailProxy, a new one at first."""
        return self._memories.setdefault(key, Memory())

    def forget(self, key: ObjectKey) -> None:
        """The MailProxy is gone: end its probes, and keep only what is still in workloads."""
        memory = self._memories.pop(key, None)
        if memory is not None:
            memory.probed.end()
            if memory.wired:
                self._memories[key] = Memory(wired=memory.wired)
