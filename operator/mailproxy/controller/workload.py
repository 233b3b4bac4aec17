"""Writes into the mail server's workload: its mounts of our files, by consent, and out again."""

import asyncio
import logging
import random
from collections.abc import Callable

from mailproxy.api.finding import Finding
from mailproxy.api.labels import WIRED_BY_LABEL, WIRING_MANAGER
from mailproxy.api.mail_server import WorkloadRef
from mailproxy.controller.applied import Applied, hash_manifest
from mailproxy.controller.memory import Memories, Memory
from mailproxy.controller.step import Pass
from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import ApiError, Forbidden, NotFound, NotServed, TransientError
from mailproxy.observed.kinds import MAIL_PROXIES, WORKLOADS
from mailproxy.observed.selectors import find_workload
from mailproxy.observed.workload import Workload, read_workload
from mailproxy.options import Options
from mailproxy.plan.metadata import Manifest
from mailproxy.plan.rollout.mounts import find_wanted
from mailproxy.plan.rollout.workload import (
    build_wiring,
    build_withdrawal,
    explain_refusal,
    inspect_workload,
)

log = logging.getLogger(__name__)


class Wirer:
    """The step that brings workloads to what MailProxies want of them."""

    def __init__(self, client: KubeClient, memories: Memories, options: Options) -> None:
        self._client = client
        self._memories = memories
        self._options = options

    async def run(self, current: Pass) -> None:
        """Change the workload that the MailProxy names and leave all others.

        Raises:
            TransientError: A write failed and may succeed later.
        """
        ref = find_workload(current.proxy)
        if current.plan.conflict is not None:
            return
        target = ObjectRef(str(ref.kind), ref.name) if ref else None
        for other in sorted(current.memory.wired - {target}):
            await self._withdraw(current.key, current.memory, other)
        if ref is None or target is None:
            return
        known = current.world.workload
        wanted = find_wanted(current.proxy, current.world, current.plan)
        finding = inspect_workload(current.proxy, ref, known, wanted)
        if finding is None and isinstance(known, Workload):
            finding = await self._change(current, ref, known)
        elif isinstance(known, Workload) and known.is_wired and not known.consents:
            await self._withdraw(current.key, current.memory, target)
        if finding is not None:
            current.failures.append(finding)

    async def _change(self, current: Pass, ref: WorkloadRef, seen: Workload) -> Finding | None:
        """Apply what differs from what was applied; nobody's fields but ours are overwritten."""
        try:
            return await self._apply(current, ref, seen)
        except ApiError as error:
            return explain_refusal(
                ref, current.key.namespace, error.message, forbidden=isinstance(error, Forbidden)
            )

    async def _apply(self, current: Pass, ref: WorkloadRef, seen: Workload) -> Finding | None:
        proxy, world, plan, memory = current.proxy, current.world, current.plan, current.memory
        manifest = build_wiring(proxy, world, plan, seen)
        if manifest is None:
            return None
        record, digest = memory.workload, hash_manifest(manifest)
        # Its generation grows with anybody's change, so that tells somebody who undid our write.
        if record and record.covers(digest, seen.fingerprint, (seen.fingerprint, seen.generation)):
            return None
        # The consent counts that is there when we write, and the version makes sure of that.
        body = await self._client.get(WORKLOADS[seen.kind], seen.namespace, seen.name)
        now = read_workload(body, seen.kind)
        if finding := inspect_workload(proxy, ref, now, find_wanted(proxy, world, plan)):
            return finding
        manifest = build_wiring(proxy, world, plan, now)
        if manifest is None:
            return None
        after = await self._write(manifest, now, body["metadata"]["resourceVersion"])
        memory.wired.add(ObjectRef(now.kind, now.name))
        before = frozenset((w.fingerprint, w.generation) for w in (seen, now))
        memory.workload = Applied(digest, before, after.fingerprint)
        if after.fingerprint != now.fingerprint:
            log.info("%s/%s: changed %s", *current.key, now)
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
        memory = self._memories.get(key)
        if memory.wired and not await self._exists(key):
            for workload in sorted(memory.wired):
                await self._withdraw(key, memory, workload)
        self._memories.forget(key)

    async def _exists(self, key: ObjectKey) -> bool:
        try:
            found = await self._client.get(MAIL_PROXIES, key.namespace, key.name)
        except (NotFound, NotServed):
            return False
        return "deletionTimestamp" not in found["metadata"]

    async def _withdraw(self, key: ObjectKey, memory: Memory, workload: ObjectRef) -> None:
        """Take out of a workload what is ours, whether or not it still consents."""
        memory.workload = None
        try:
            body = await self._client.get(WORKLOADS[workload.kind], key.namespace, workload.name)
            now = read_workload(body, workload.kind)
            if now.is_wired and now.wired_by in ("", key.name):
                await self._write(build_withdrawal(now), now, body["metadata"]["resourceVersion"])
                log.info("%s/%s: removed injected mounts from %s", *key, now)
        except NotFound:
            pass  # and so is what we had put into it
        except ApiError as error:
            log.warning("%s/%s: its changes stay in %s: %s", *key, workload, error)
        memory.wired.discard(workload)

    async def search(self, on_found: Callable[[ObjectKey], None]) -> None:
        """Look for workloads that we have changed, at the start and now and then, until cancelled.

        Each MailProxy of one gets looked at: it may have gone while we were not there.
        """
        options = self._options
        while True:
            pause = random.uniform(  # noqa: S311 - no secret
                options.workload_search_min_seconds, options.workload_search_max_seconds
            )
            try:
                for key in await self._find_wired():
                    on_found(key)
            except TransientError as error:
                log.info("changed workloads cannot be looked for yet: %s", error)
                pause = options.workload_search_retry_seconds
            await asyncio.sleep(pause)

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
                    self._memories.get(key).wired.add(ObjectRef(kind, workload.name))
                    found.add(key)
        return found
