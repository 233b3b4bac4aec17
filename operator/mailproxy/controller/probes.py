"""Probes proxy pods again and again, as often as each of them deserves."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mailproxy.identity import ObjectKey
from mailproxy.observed.addresses import Address
from mailproxy.options import Options
from mailproxy.plan.rollout.probe_state import ProbeState
from mailproxy.plan.rollout.probe_targets import Target

Probe = Callable[[Sequence[Address], int, float], Awaitable[bool | None]]

log = logging.getLogger(__name__)


@dataclass(eq=False)
class ProbedPod:
    """One proxy pod of one MailProxy."""

    target: Target
    state: ProbeState
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    is_wanted: bool = True


@dataclass
class ProbedEdge:
    """All proxy pods of one MailProxy, and the list of trusted networks that they depend on.

    What is known belongs to an address and ends with it: a pod whose sandbox is made anew is
    another one here.
    """

    trust_hash: str | None = None
    pods: dict[Address, ProbedPod] = field(default_factory=dict)

    @property
    def header_accepted(self) -> Mapping[Address, bool]:
        """What is known, by the pods' first addresses."""
        known = {address: pod.state.accepted for address, pod in self.pods.items()}
        return {address: answer for address, answer in known.items() if answer is not None}

    def keep(self, targets: Mapping[Address, Target]) -> None:
        """End the probes of all pods that are not among `targets` as they are."""
        for address, pod in list(self.pods.items()):
            if targets.get(address) != pod.target:
                del self.pods[address]
                pod.is_wanted = False
                if pod.task:
                    pod.task.cancel()

    def end(self) -> None:
        """End all probes."""
        self.keep({})


class Prober:
    """Carries the probes of all MailProxies.

    `on_change(key)` is called when something became known that was not, or changed.
    """

    def __init__(
        self,
        probe: Probe,
        on_change: Callable[[ObjectKey], None],
        options: Options,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._on_change = on_change
        self._options = options
        self._clock = clock
        self._slots = asyncio.Semaphore(options.max_probes)
        self._group: asyncio.TaskGroup | None = None
        self._early: list[tuple[ObjectKey, ProbedPod]] = []  # wanted before `run`

    async def run(self) -> None:
        """Carry all probes until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                while self._early:
                    self._start(*self._early.pop())
                await asyncio.Event().wait()
        finally:
            self._group = None

    def want(
        self,
        key: ObjectKey,
        edge: ProbedEdge,
        targets: Mapping[Address, Target],
        trust_hash: str | None,
    ) -> None:
        """Probe `targets` from now on, soon again if the trust list has changed."""
        edge.keep(targets)
        has_changed, edge.trust_hash = edge.trust_hash != trust_hash, trust_hash
        for address, target in targets.items():
            known = edge.pods.get(address)
            if known is None:
                state = ProbeState(self._options, self._clock())
                edge.pods[address] = ProbedPod(target, state)
                self._start(key, edge.pods[address])
            elif has_changed:
                known.state = known.state.restart(self._clock())
                known.wake.set()

    def _start(self, key: ObjectKey, pod: ProbedPod) -> None:
        if self._group is None:
            self._early.append((key, pod))
        elif pod.is_wanted:
            name = f"probe of {pod.target.addresses[0]}"
            pod.task = self._group.create_task(self._follow(key, pod), name=name)

    async def _follow(self, key: ObjectKey, pod: ProbedPod) -> None:
        """Probe, report what is news, wait; until cancelled."""
        while True:
            pod.wake.clear()
            try:
                await self._try(key, pod)
            except Exception:
                log.exception("%s/%s: probe of %s failed", *key, pod.target)
            pause = pod.state.pause(self._clock())
            pause *= 1 - random.random() / 10  # noqa: S311 - spreads load, guards nothing
            try:
                async with asyncio.timeout(pause):
                    await pod.wake.wait()
            except TimeoutError:
                continue

    async def _try(self, key: ObjectKey, pod: ProbedPod) -> None:
        target, patience = pod.target, pod.state.patience(self._clock())
        async with self._slots:
            answer = await self._probe(target.addresses, target.port, patience)
        before = pod.state.accepted
        pod.state = pod.state.take(answer, self._clock())
        if pod.state.accepted != before:
            self._on_change(key)
