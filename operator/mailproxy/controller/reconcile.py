"""One reconcile: observe, plan, then step by step; safe at any time and from any state."""

import random
from collections.abc import Callable
from datetime import datetime

from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.controller.apply import Applier, OwnerGoneError
from mailproxy.controller.caches import Caches
from mailproxy.controller.memory import Memories
from mailproxy.controller.probes import Prober
from mailproxy.controller.report import Reporter
from mailproxy.controller.step import Pass, Step
from mailproxy.controller.volume_refresh import VolumeRefresher
from mailproxy.controller.workload import Wirer
from mailproxy.engine.workqueue import Result
from mailproxy.identity import ObjectKey
from mailproxy.kube.client import KubeClient
from mailproxy.kube.events import EventRecorder
from mailproxy.observed.assemble import NotKnownError
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.options import Options
from mailproxy.plan.build import build_plan
from mailproxy.plan.model import find_trust_hash
from mailproxy.plan.rollout.probe_targets import find_targets


class Reconciler:
    """Handles keys of the queue; any number of workers may share it."""

    def __init__(
        self,
        caches: Caches,
        client: KubeClient,
        recorder: EventRecorder,
        now: Callable[[], datetime],
        prober: Prober,
        options: Options,
    ) -> None:
        self._caches = caches
        self._options = options
        self._memories = Memories()
        self.wirer = Wirer(client, self._memories, options)
        self._reporter = Reporter(client, recorder, now, options)
        # What trust needs comes first; the rest waits while other MailProxies' trust has to be
        # written.
        self._trust_steps: tuple[Step, ...] = (
            Applier(client),
            _ProbeStep(prober),
            VolumeRefresher(client, options),
        )
        self._other_steps: tuple[Step, ...] = (self.wirer, self._reporter)

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring the cluster to what the MailProxy `key` asks for, and say so in its status."""
        stored = self._caches.proxy(key)
        if stored is None or stored.is_deleting:
            self._memories.forget(key)
            await self.wirer.withdraw_all(key)
            return Result()
        try:
            return await self._reconcile_stored(stored)
        except OwnerGoneError:
            self._memories.forget(key)
            return Result()

    async def _reconcile_stored(self, stored: StoredProxy) -> Result:
        if stored.proxy is None:
            return await self._hold(stored, Reason.INVALID, f"{stored.errors}.")
        if stored.proxy.spec.suspend:
            message = (
                "`spec.suspend` is true: nothing is written and trust does not follow the edge."
            )
            return await self._hold(stored, Reason.SUSPENDED, message)
        try:
            return await self._reconcile_accepted(stored, stored.proxy)
        except NotKnownError as unknown:
            if unknown.problem:
                return await self._hold(stored, Reason.UNOBSERVABLE, f"{unknown.problem}.")
            return Result()  # the watch brings the key back when it has delivered

    async def _reconcile_accepted(self, stored: StoredProxy, proxy: MailProxy) -> Result:
        world = self._caches.observe(proxy)
        plan = build_plan(proxy, world)
        memory = self._memories.get(stored.key)
        current = Pass(stored, proxy, world, plan, memory, again_in=self._pick_resync())
        for step in self._trust_steps:
            await step.run(current)
        current.raise_error()
        if current.changed and not memory.report_deferred:
            # The status can wait, the trust of other MailProxies cannot: stand in line again.
            memory.report_deferred = True
            return Result(requeue_after=0)
        memory.report_deferred = False
        for step in self._other_steps:
            await step.run(current)
        return Result(requeue_after=current.again_in)

    async def _hold(self, stored: StoredProxy, reason: Reason, message: str) -> Result:
        """Leave everything as it is and say why."""
        memory = self._memories.get(stored.key)
        memory.probed.end()
        await self._reporter.report_held(stored, memory, reason, message)
        return Result(requeue_after=self._pick_resync())

    def _pick_resync(self) -> float:
        options = self._options
        return random.uniform(  # noqa: S311 - no secret
            options.resync_min_seconds, options.resync_max_seconds
        )


class _ProbeStep:
    """The step that says which proxy pods to probe, and takes what is known of them."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober

    async def run(self, current: Pass) -> None:
        """Nothing is waited for: an answer that is news brings the key back."""
        targets = find_targets(current.proxy, current.world, current.plan)
        trust_hash = find_trust_hash(current.proxy, current.plan)
        probed = current.memory.probed
        self._prober.want(current.key, probed, targets, trust_hash)
        current.learn(header_accepted=dict(probed.header_accepted))
