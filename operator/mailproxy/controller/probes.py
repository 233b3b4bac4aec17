"""Looks again and again whether proxy pods are believed, as often as each of them deserves."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mailproxy.object_key import ObjectKey
from mailproxy.observed.addresses import Address
from mailproxy.plan.rollout.probe_state import Belief
from mailproxy.plan.rollout.probe_targets import Target

MAX_PROBES = 16  # at a time
Probe = Callable[[Sequence[Address], int, float], Awaitable[bool | None]]
log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Watched:
    """One proxy pod of one MailProxy."""

    target: Target
    belief: Belief
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@dataclass
class _Watch:
    """All proxy pods of one MailProxy, and the list of trusted networks that they depend on."""

    trust_hash: str | None = None
    pods: dict[Address, _Watched] = field(default_factory=dict)


class Beliefs:
    """What is known of proxy pods, by the MailProxies that want to know.

    `on_change(key)` is called when something became known that was not, or changed. Belief belongs
    to an address and ends with it: a pod whose sandbox is made anew is another one here.
    """

    def __init__(
        self,
        probe: Probe,
        on_change: Callable[[ObjectKey], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._on_change = on_change
        self._clock = clock
        self._watches: dict[ObjectKey, _Watch] = {}
        self._slots = asyncio.Semaphore(MAX_PROBES)
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Carry all probes until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for key, watch in self._watches.items():
                    for watched in watch.pods.values():
                        self._start(key, watched)
                await asyncio.Event().wait()
        finally:
            self._group = None

    def want(
        self, key: ObjectKey, targets: Mapping[Address, Target], trust_hash: str | None
    ) -> None:
        """Set what the MailProxy wants to know from now on; soon again, if the list has changed."""
        watch = self._watches.setdefault(key, _Watch(trust_hash))
        for address, watched in list(watch.pods.items()):
            if targets.get(address) != watched.target:
                self._end(watch.pods.pop(address))
        has_changed, watch.trust_hash = watch.trust_hash != trust_hash, trust_hash
        for address, target in targets.items():
            known = watch.pods.get(address)
            if known is None:
                watch.pods[address] = _Watched(target, Belief(self._clock()))
                self._start(key, watch.pods[address])
            elif has_changed:
                known.belief = known.belief.restart(self._clock())
                known.hurry.set()
        if not watch.pods:
            del self._watches[key]

    def drop(self, key: ObjectKey) -> None:
        """The MailProxy wants to know nothing any more."""
        self.want(key, {}, None)

    def find(self, key: ObjectKey) -> Mapping[Address, bool]:
        """What is known for a MailProxy, by the pods' first addresses."""
        pods = self._watches.get(key, _Watch()).pods
        said = {address: watched.belief.believed for address, watched in pods.items()}
        return {address: believed for address, believed in said.items() if believed is not None}

    def _start(self, key: ObjectKey, watched: _Watched) -> None:
        if self._group:
            name = f"probe of {watched.target.addresses[0]}"
            watched.task = self._group.create_task(self._follow(key, watched), name=name)

    def _end(self, watched: _Watched) -> None:
        if watched.task:
            watched.task.cancel()

    async def _follow(self, key: ObjectKey, watched: _Watched) -> None:
        """Try, tell what is news, wait; until cancelled."""
        while True:
            watched.hurry.clear()
            try:
                await self._try(key, watched)
            except Exception:
                log.exception("%s/%s: probe of %s failed", *key, watched.target)
            pause = watched.belief.pause(self._clock())
            pause *= 1 - random.random() / 10  # noqa: S311 - spreads load, guards nothing
            try:
                async with asyncio.timeout(pause):
                    await watched.hurry.wait()
            except TimeoutError:
                continue

    async def _try(self, key: ObjectKey, watched: _Watched) -> None:
        target, patience = watched.target, watched.belief.patience(self._clock())
        async with self._slots:
            answer = await self._probe(target.addresses, target.port, patience)
        before = watched.belief.believed
        watched.belief = watched.belief.take(answer, self._clock())
        if watched.belief.believed != before:
            self._on_change(key)
