"""Writes: children by server-side apply, only where something differs, and never a foreign one."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.controller.kinds import CHILDREN, MAIL_PROXIES
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import (
    ApiError,
    FieldNotDeclared,
    NotFound,
    NotServed,
    TransientError,
)
from mailproxy.object_key import ObjectKey
from mailproxy.observed.child import Child, read_child
from mailproxy.observed.world import ChildId
from mailproxy.plan.metadata import Manifest
from mailproxy.plan.model import Plan, Problem, child_id

log = logging.getLogger(__name__)


class OwnerGoneError(Exception):
    """The MailProxy was deleted meanwhile: nothing may be written for it any more."""


@dataclass(frozen=True)
class _Applied:
    """What was applied, and the object's resourceVersions before and after it.

    A cache that still shows the one before is merely behind: our write is on its way there.
    """

    digest: str
    versions: tuple[str | None, str]

    def seen_at(self, version: str) -> "_Applied":
        """Forget the version before as soon as the one after has been seen."""
        after = self.versions[1]
        return _Applied(self.digest, (after, after)) if version == after else self


@dataclass(frozen=True)
class Outcome:
    """What came of applying a plan: whether anything changed, and what the user must mend.

    `failures` are the writes that may succeed later.
    """

    changed: bool
    problems: tuple[Problem, ...]
    failures: Mapping[ChildId, TransientError] = field(default_factory=dict)

    def is_done(self, child: ChildId) -> bool:
        """Whether the child, if it was to be applied, is now as it should be."""
        return child not in self.failures and child not in {p.child for p in self.problems}

    def raise_failure(self) -> None:
        """Raise the first of `failures`, if there is one."""
        for failure in self.failures.values():
            raise failure


class Applier:
    """Brings children to what a plan asks for and remembers what it sent."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._applied: dict[ObjectKey, dict[ChildId, _Applied]] = {}

    def forget(self, key: ObjectKey) -> None:
        """The MailProxy is gone: forget what was sent for it."""
        self._applied.pop(key, None)

    async def apply(
        self, proxy: MailProxy, plan: Plan, children: Mapping[ChildId, Child]
    ) -> Outcome:
        """Apply what differs, then delete what should not be.

        Raises:
            OwnerGoneError: The MailProxy no longer exists.
        """
        problems: list[Problem] = []
        failures: dict[ChildId, TransientError] = {}
        changed = False
        if any(child_id(manifest) not in children for manifest in plan.children):
            await self._confirm_owner(proxy)
        for manifest in plan.children:
            try:
                child = children.get(child_id(manifest))
                changed |= await self._apply_child(proxy, manifest, child)
            except TransientError as error:
                failures[child_id(manifest)] = error
            except ApiError as error:
                problems.append(_explain(child_id(manifest), error))
        for child in plan.find_stale(children):
            if child.is_owned_by(proxy.metadata.uid, proxy.name):
                try:
                    await self._delete(proxy, child)
                    changed = True
                except TransientError as error:
                    failures[child.kind, child.name] = error
        return Outcome(changed, tuple(problems), failures)

    async def _apply_child(self, proxy: MailProxy, manifest: Manifest, child: Child | None) -> bool:
        """Apply one child if it differs from what was applied; returns whether it changed."""
        records = self._applied.setdefault(ObjectKey(proxy.namespace, proxy.name), {})
        key, digest = child_id(manifest), _digest(manifest)
        if child is None:
            child = await self._find_unlabelled(proxy, key)
        version = child.resource_version if child else None
        record = records.get(key)
        if record and version and record.digest == digest and version in record.versions:
            records[key] = record.seen_at(version)
            return False
        if child is not None and not child.is_owned_by(proxy.metadata.uid, proxy.name):
            raise _NotOwnedError(child)
        answer = await self._client.apply(CHILDREN[manifest["kind"]], manifest)
        after = answer["metadata"]["resourceVersion"]
        records[key] = _Applied(digest, (version, after))
        if after != version:
            log.info("%s/%s: applied %s %s", proxy.namespace, proxy.name, *key)
        return bool(after != version)

    async def _confirm_owner(self, proxy: MailProxy) -> None:
        """Make sure that the MailProxy still lives before something is made for it.

        Children of an owner that is gone would be collected and made again for ever.
        """
        try:
            owner = await self._client.get(MAIL_PROXIES, proxy.namespace, proxy.name)
        except NotFound:
            raise OwnerGoneError from None
        metadata = owner["metadata"]
        if metadata["uid"] != proxy.metadata.uid or "deletionTimestamp" in metadata:
            raise OwnerGoneError

    async def _find_unlabelled(self, proxy: MailProxy, key: ChildId) -> Child | None:
        """Find what has a child's name but is not in our caches, as it lacks our label."""
        kind, name = key
        try:
            return read_child(await self._client.get(CHILDREN[kind], proxy.namespace, name), kind)
        except NotFound:
            return None

    async def _delete(self, proxy: MailProxy, child: Child) -> None:
        resource = CHILDREN[child.kind]
        if await self._client.delete(resource, proxy.namespace, child.name, uid=child.uid):
            log.info("%s/%s: deleted %s %s", proxy.namespace, proxy.name, child.kind, child.name)


class _NotOwnedError(ApiError):
    def __init__(self, child: Child) -> None:
        super().__init__(409, "NotOwned", f"{child.kind} {child.name} is not ours")


def _explain(child: ChildId, error: ApiError) -> Problem:
    """Tell the user what a refusal means and how to mend it."""
    kind, _ = child
    if isinstance(error, _NotOwnedError):
        return Problem(
            child,
            Reason.NOT_OWNED,
            "exists already and belongs to somebody else, so it is left alone; delete or rename"
            " it, or give the MailProxy another name",
        )
    if isinstance(error, NotServed):
        return Problem(child, Reason.CRD_MISSING, f"the API server does not serve {kind} any more")
    if isinstance(error, FieldNotDeclared):
        return Problem(
            child,
            Reason.CRD_OUTDATED,
            f"the installed CRD of {kind} does not know the field {error.field}; upgrade Traefik's"
            " CRDs to those of Traefik 3.5.3 or newer (Helm never does that by itself)",
        )
    return Problem(child, Reason.REFUSED, f"the API server refuses it: {error.message}")


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
