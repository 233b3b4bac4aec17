"""Writes into the mail server's workload: its mounts of our files, by consent, and out again."""

import asyncio
import hashlib
import json
import logging
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from mailproxy.api.labels import WIRED_BY_LABEL, WIRING_MANAGER
from mailproxy.api.mail_server import WorkloadRef
from mailproxy.api.mailproxy import MailProxy
from mailproxy.controller.kinds import MAIL_PROXIES, WORKLOADS
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import ApiError, Forbidden, NotFound, NotServed, TransientError
from mailproxy.object_key import ObjectKey
from mailproxy.observed.workload import Workload, read_workload
from mailproxy.observed.world import World
from mailproxy.plan.metadata import Manifest
from mailproxy.plan.model import Plan, Problem
from mailproxy.plan.rollout.workload import (
    build_wiring,
    build_withdrawal,
    check_workload,
    explain_refusal,
    find_target,
)

log = logging.getLogger(__name__)
WorkloadId = tuple[str, str]  # kind and name; the namespace is the MailProxy's
SEARCH_SECONDS = (240, 360)  # leftovers come only of a deletion that was missed
SEARCH_RETRY_SECONDS = (5, 10)


@dataclass(frozen=True)
class _Applied:
    """What was applied, and the workload's fingerprint after it.

    A cache that still shows the workload as it was before is merely behind: our write is on its
    way there. That state may come back with another generation: then somebody undid our write.
    """

    digest: str
    before: frozenset[tuple[str, int]]
    after: str

    def covers(self, digest: str, workload: Workload) -> bool:
        """Whether this is what is to be applied, and `workload` has it or will be seen with it."""
        seen = (workload.fingerprint, workload.generation)
        return digest == self.digest and (workload.fingerprint == self.after or seen in self.before)


class Wirer:
    """Brings workloads to what MailProxies want of them, and remembers which it has changed."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._wired: dict[ObjectKey, set[WorkloadId]] = defaultdict(set)
        self._applied: dict[ObjectKey, _Applied] = {}

    async def apply(self, proxy: MailProxy, world: World, plan: Plan) -> list[Problem]:
        """Change the workload that the MailProxy names and leave all others; tells what is wrong.

        Raises:
            TransientError: A write failed and may succeed later.
        """
        key, ref = ObjectKey(proxy.namespace, proxy.name), find_target(proxy)
        if plan.conflict is not None:
            return []
        target = (str(ref.kind), ref.name) if ref else None
        for other in sorted(self._wired.get(key, set()) - {target}):
            await self._withdraw(key, other)
        if ref is None:
            return []
        seen = check_workload(proxy, ref, world.workload, world.workload_error)
        if isinstance(seen, Problem):
            known = world.workload
            if target and known and known.is_wired and not known.consents:
                await self._withdraw(key, target)
            return [seen]
        try:
            problem = await self._change(proxy, ref, world, plan, seen)
        except ApiError as error:
            problem = explain_refusal(
                ref, proxy.namespace, error.message, forbidden=isinstance(error, Forbidden)
            )
        return [problem] if problem else []

    async def _change(
        self, proxy: MailProxy, ref: WorkloadRef, world: World, plan: Plan, seen: Workload
    ) -> Problem | None:
        """Apply what differs from what was applied; nobody's fields but ours are overwritten."""
        key = ObjectKey(proxy.namespace, proxy.name)
        manifest = build_wiring(proxy, world, plan, seen)
        if manifest is None or isinstance(manifest, Problem):
            return manifest
        record, digest = self._applied.get(key), _digest(manifest)
        if record and record.covers(digest, seen):
            return None
        # The consent counts that is there when we write, and the version makes sure of that.
        body = await self._client.get(WORKLOADS[seen.kind], seen.namespace, seen.name)
        now = check_workload(proxy, ref, read_workload(body, seen.kind))
        if isinstance(now, Problem):
            return now
        manifest = build_wiring(proxy, world, plan, now)
        if manifest is None or isinstance(manifest, Problem):
            return manifest
        after = await self._write(manifest, now, body["metadata"]["resourceVersion"])
        self._wired[key].add((now.kind, now.name))
        before = frozenset({(w.fingerprint, w.generation) for w in (seen, now)})
        self._applied[key] = _Applied(digest, before, after.fingerprint)
        if after.fingerprint != now.fingerprint:
            log.info("%s/%s: changed %s", proxy.namespace, proxy.name, now)
        return None

    async def _write(self, manifest: Manifest, workload: Workload, version: str) -> Workload:
        manifest["metadata"]["resourceVersion"] = version
        resource = WORKLOADS[workload.kind]
        answer = await self._client.apply(
            resource, manifest, field_manager=WIRING_MANAGER, force=False
        )
        return read_workload(answer, workload.kind)

    async def withdraw_all(self, key: ObjectKey) -> None:
        """Take everything out of the workloads of a MailProxy that is gone.

        That is looked up: a cache that has not seen it yet must not restart its mail server.

        Raises:
            TransientError: A write failed and may succeed later.
        """
        if not self._wired.get(key) or await self._exists(key):
            return
        for workload in sorted(self._wired[key]):
            await self._withdraw(key, workload)
        self._wired.pop(key, None)

    async def _exists(self, key: ObjectKey) -> bool:
        try:
            found = await self._client.get(MAIL_PROXIES, key.namespace, key.name)
        except (NotFound, NotServed):
            return False
        return "deletionTimestamp" not in found["metadata"]

    async def _withdraw(self, key: ObjectKey, workload: WorkloadId) -> None:
        """Take out of a workload what is ours, whether or not it still consents."""
        kind, name = workload
        self._applied.pop(key, None)
        try:
            body = await self._client.get(WORKLOADS[kind], key.namespace, name)
            now = read_workload(body, kind)
            if now.is_wired and now.wired_by in ("", key.name):
                await self._write(build_withdrawal(now), now, body["metadata"]["resourceVersion"])
                log.info("%s/%s: took its changes out of %s", *key, now)
        except NotFound:
            pass  # and so is what we had put into it
        except ApiError as error:
            log.warning("%s/%s: its changes stay in %s %s: %s", *key, kind, name, error)
        self._wired.get(key, set()).discard(workload)

    async def search(self, on_found: Callable[[ObjectKey], None]) -> None:
        """Look for workloads that we have changed, at the start and now and then, until cancelled.

        Each MailProxy of one gets looked at: it may have gone while we were not there.
        """
        while True:
            pause = SEARCH_SECONDS
            try:
                for key in await self._find_wired():
                    on_found(key)
            except TransientError as error:
                log.info("changed workloads cannot be looked for yet: %s", error)
                pause = SEARCH_RETRY_SECONDS
            await asyncio.sleep(random.uniform(*pause))  # noqa: S311 - no secret

    async def _find_wired(self) -> set[ObjectKey]:
        found: set[ObjectKey] = set()
        for kind, resource in WORKLOADS.items():
            try:
                listed = await self._client.list(resource, label_selector=WIRED_BY_LABEL)
            except ApiError:
                continue  # without the right to see workloads we have changed none
            for workload in (read_workload(item, kind) for item in listed.items):
                key = ObjectKey(workload.namespace, workload.wired_by)
                if workload.is_wired and workload.wired_by:
                    self._wired[key].add((kind, workload.name))
                    found.add(key)
        return found


def _digest(manifest: Manifest) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
