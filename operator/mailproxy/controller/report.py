"""Writes the status and records events, if anything in it changed."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from mailproxy.api.reasons import Reason
from mailproxy.controller.apply import OwnerGoneError
from mailproxy.controller.memory import Memory, WrittenStatus
from mailproxy.controller.step import Pass
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.events import find_event_notes
from mailproxy.diagnose.status import build_held_status, build_status
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import NotFound
from mailproxy.kube.events import EventRecorder
from mailproxy.observed.kinds import MAIL_PROXIES
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.options import Options


class Reporter:
    """The step that says in the status what was found."""

    def __init__(
        self,
        client: KubeClient,
        recorder: EventRecorder,
        now: Callable[[], datetime],
        options: Options,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._now = now
        self._options = options

    async def run(self, current: Pass) -> None:
        """Report the whole pass. Raises OwnerGoneError."""
        case = Case(
            *(current.proxy, current.world, current.evidence, current.plan),
            failures=tuple(current.failures),
        )
        _, previous = _find_newest(current.stored, current.memory)
        status = build_status(case, previous, self._now())
        await self._write(current.stored, current.memory, status)
        if current.failures:
            current.come_back_in(self._options.recheck_seconds)

    async def report_held(
        self, stored: StoredProxy, memory: Memory, reason: Reason, message: str
    ) -> None:
        """Say why a MailProxy is left as it is. Raises OwnerGoneError."""
        _, previous = _find_newest(stored, memory)
        status = build_held_status(message, stored.generation, reason, previous, self._now())
        await self._write(stored, memory, status)

    async def _write(self, stored: StoredProxy, memory: Memory, status: dict[str, Any]) -> None:
        """Write the status if it changed, then record events for what changed in it.

        The resourceVersion makes sure that it is still this object: a uid is not looked at.
        """
        version, previous = _find_newest(stored, memory)
        if status == previous:
            return
        manifest = {
            "apiVersion": MAIL_PROXIES.api_version,
            "kind": MAIL_PROXIES.kind,
            "metadata": {
                "name": stored.key.name,
                "namespace": stored.key.namespace,
                "resourceVersion": version,
            },
            "status": status,
        }
        try:
            answer = await self._client.apply(MAIL_PROXIES, manifest, subresource="status")
        except NotFound:
            raise OwnerGoneError from None
        after = answer["metadata"]["resourceVersion"]
        memory.status = WrittenStatus(stored.resource_version, after, status)
        await self._record_events(stored, previous, status)

    async def _record_events(
        self, stored: StoredProxy, previous: dict[str, Any], status: dict[str, Any]
    ) -> None:
        regarding = {
            "apiVersion": MAIL_PROXIES.api_version,
            "kind": MAIL_PROXIES.kind,
            "namespace": stored.key.namespace,
            "name": stored.key.name,
            "uid": stored.uid,
        }
        for note in find_event_notes(previous, status):
            await self._recorder.record(
                regarding, note.type, note.reason, note.note, action="Reconcile"
            )


def _find_newest(stored: StoredProxy, memory: Memory) -> tuple[str, dict[str, Any]]:
    """Return resourceVersion and status: what we wrote, as long as the cache is behind it."""
    written = memory.status
    if written and stored.resource_version == written.before:
        return written.after, written.status
    return stored.resource_version, stored.status
