"""One reconcile: observe, plan, apply, report; safe at any time and from any state."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.controller.apply import Applier, Outcome, OwnerGoneError
from mailproxy.controller.caches import Caches, NotSyncedError
from mailproxy.controller.kinds import MAIL_PROXIES
from mailproxy.controller.probes import Beliefs
from mailproxy.controller.volume_refresh import Poker
from mailproxy.controller.workload import Wirer
from mailproxy.diagnose.events import find_announcements
from mailproxy.diagnose.status import build_held_status, build_status
from mailproxy.engine.workqueue import Result
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import NotFound
from mailproxy.kube.events import EventRecorder
from mailproxy.object_key import ObjectKey
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.observed.world import World
from mailproxy.plan.build import build_plan
from mailproxy.plan.metadata import trust_name
from mailproxy.plan.model import Plan, find_trust_hash
from mailproxy.plan.rollout.probe_targets import find_targets
from mailproxy.plan.rollout.volume_refresh import is_doubted, wants_pokes

RESYNC_SECONDS = (240, 360)  # bounds whatever was missed; jittered, and quiet when nothing was
RECHECK_SECONDS = 30  # while a child is refused: nothing tells us when the cause is gone


@dataclass(frozen=True)
class _Written:
    """The status that was written last, until the cache shows something newer than `before`."""

    before: str
    after: str
    status: dict[str, Any]


class Reconciler:
    """Handles keys of the queue; any number of workers may share it."""

    def __init__(
        self,
        caches: Caches,
        client: KubeClient,
        recorder: EventRecorder,
        now: Callable[[], datetime],
        beliefs: Beliefs,
    ) -> None:
        self._caches = caches
        self._beliefs = beliefs
        self._poker = Poker(client)
        self._client = client
        self._recorder = recorder
        self._now = now
        self._applier = Applier(client)
        self.wirer = Wirer(client)
        self._written: dict[ObjectKey, _Written] = {}
        self._unreported: set[ObjectKey] = set()

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring the cluster to what the MailProxy `key` asks for, and say so in its status."""
        stored = self._caches.proxy(key)
        if stored is None or stored.is_deleting:
            self._forget(key)
            await self.wirer.withdraw_all(key)
            return Result()
        if stored.proxy is None:
            return await self._hold(stored, Reason.INVALID, f"{stored.errors}.")
        if stored.proxy.spec.suspend:
            message = (
                "`spec.suspend` is true: nothing is written and trust no longer follows the edge."
            )
            return await self._hold(stored, Reason.SUSPENDED, message)
        try:
            return await self._follow(stored, stored.proxy)
        except NotSyncedError as unknown:
            if unknown.problem:
                return await self._hold(stored, Reason.UNOBSERVABLE, f"{unknown.problem}.")
            return Result()  # the watch brings the key back when it has delivered
        except OwnerGoneError:
            self._forget(key)
            return Result()

    async def _follow(self, stored: StoredProxy, proxy: MailProxy) -> Result:
        world = self._caches.observe(stored.key, proxy)
        plan = build_plan(proxy, world)
        outcome = await self._applier.apply(proxy, plan, world.children)
        world, poke_after = await self._spread_trust(stored.key, proxy, world, plan, outcome)
        outcome.raise_failure()
        if outcome.changed and stored.key not in self._unreported:
            # The status can wait, the trust of other MailProxies cannot: stand in line again.
            self._unreported.add(stored.key)
            return Result(requeue_after=0)
        self._unreported.discard(stored.key)
        problems = (*outcome.problems, *await self.wirer.apply(proxy, world, plan))
        _, previous = self._newest(stored)
        status = build_status(proxy, world, plan, problems, previous, self._now())
        await self._report(stored, status)
        due = RECHECK_SECONDS if problems else _resync_seconds()
        return Result(requeue_after=due if poke_after is None else min(due, poke_after))

    async def _spread_trust(
        self, key: ObjectKey, proxy: MailProxy, world: World, plan: Plan, outcome: Outcome
    ) -> tuple[World, float | None]:
        """Bring the applied trust list into the mail pods' mounts, and see whom they believe.

        Returns the world with what is known of both, and the seconds until the next poke.
        """
        trust_hash, poke_after = find_trust_hash(proxy, plan), None
        self._beliefs.want(key, find_targets(proxy, world, plan), trust_hash)
        world = replace(world, beliefs=self._beliefs.find(key))
        is_written = outcome.is_done(("ConfigMap", trust_name(proxy)))
        if trust_hash and is_written and wants_pokes(proxy, plan):
            poke_after = await self._poker.poke(
                key, world.mail_pods, trust_hash, doubted=is_doubted(world, plan)
            )
        return replace(world, poke_allowed=self._poker.is_allowed(key.namespace)), poke_after

    async def _hold(self, stored: StoredProxy, reason: Reason, message: str) -> Result:
        """Leave everything as it is and say why."""
        self._beliefs.drop(stored.key)
        _, previous = self._newest(stored)
        status = build_held_status(message, stored.generation, reason, previous, self._now())
        await self._report(stored, status)
        return Result(requeue_after=_resync_seconds())

    def _newest(self, stored: StoredProxy) -> tuple[str, dict[str, Any]]:
        """Return resourceVersion and status: what we wrote, as long as the cache is behind it."""
        written = self._written.get(stored.key)
        if written and stored.resource_version == written.before:
            return written.after, written.status
        return stored.resource_version, stored.status

    async def _report(self, stored: StoredProxy, status: dict[str, Any]) -> None:
        """Write the status if it changed, then record events for what changed in it.

        The resourceVersion makes sure that it is still this object: a uid is not looked at.
        """
        version, previous = self._newest(stored)
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
        self._written[stored.key] = _Written(stored.resource_version, after, status)
        await self._announce(stored, previous, status)

    async def _announce(
        self, stored: StoredProxy, previous: dict[str, Any], status: dict[str, Any]
    ) -> None:
        regarding = {
            "apiVersion": MAIL_PROXIES.api_version,
            "kind": MAIL_PROXIES.kind,
            "namespace": stored.key.namespace,
            "name": stored.key.name,
            "uid": stored.uid,
        }
        for event in find_announcements(previous, status):
            await self._recorder.record(
                regarding, event.type, event.reason, event.note, action="Reconcile"
            )

    def _forget(self, key: ObjectKey) -> None:
        self._beliefs.drop(key)
        self._poker.forget(key)
        self._applier.forget(key)
        self._written.pop(key, None)
        self._unreported.discard(key)


def _resync_seconds() -> float:
    return random.uniform(*RESYNC_SECONDS)  # noqa: S311 - no secret
