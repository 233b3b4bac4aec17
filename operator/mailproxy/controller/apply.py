"""Writes: children by server-side apply, only where something differs, and never a foreign one."""

import logging

from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.controller.applied import Applied, hash_manifest
from mailproxy.controller.step import Pass
from mailproxy.diagnose.conditions import find_owner
from mailproxy.identity import ObjectRef
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import ApiError, FieldNotDeclared, NotFound, NotServed, TransientError
from mailproxy.observed.child import Child, read_child
from mailproxy.observed.kinds import MAIL_PROXIES
from mailproxy.plan.edge.registry import find_adapter_of
from mailproxy.plan.metadata import Manifest, find_ref
from mailproxy.plan.model import CHILD_KINDS

log = logging.getLogger(__name__)


class OwnerGoneError(Exception):
    """The MailProxy was deleted meanwhile: nothing may be written for it any more."""


class _NotOwnedError(ApiError):
    def __init__(self, child: Child) -> None:
        super().__init__(409, "NotOwned", f"{child.ref} is not ours")


class Applier:
    """The step that brings children to what the plan asks for."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def run(self, current: Pass) -> None:
        """Apply what differs, then delete what should not be. Raises OwnerGoneError."""
        children, proxy = current.world.children, current.proxy
        if any(find_ref(manifest) not in children for manifest in current.plan.children):
            await self._confirm_owner(proxy)
        for manifest in current.plan.children:
            ref = find_ref(manifest)
            try:
                current.changed |= await self._apply_child(current, manifest, children.get(ref))
            except TransientError as error:
                current.errors[ref] = error
            except ApiError as error:
                current.failures.append(_explain(proxy, ref, error))
        for child in current.plan.find_stale(children):
            if child.is_owned_by(proxy.metadata.uid, proxy.name):
                try:
                    await self._delete(proxy, child)
                    current.changed = True
                except TransientError as error:
                    current.errors[child.ref] = error
                except ApiError as error:
                    current.failures.append(_explain(proxy, child.ref, error))

    async def _apply_child(self, current: Pass, manifest: Manifest, child: Child | None) -> bool:
        """Apply one child if it differs from what was applied; returns whether it changed."""
        proxy, records = current.proxy, current.memory.children
        ref, digest = find_ref(manifest), hash_manifest(manifest)
        if child is None:
            child = await self._find_unlabelled(proxy, ref)
        version = child.resource_version if child else None
        record = records.get(ref)
        if record and version and record.covers(digest, version):
            records[ref] = record.seen(version)
            return False
        if child is not None and not child.is_owned_by(proxy.metadata.uid, proxy.name):
            raise _NotOwnedError(child)
        answer = await self._client.apply(CHILD_KINDS[ref.kind], manifest)
        after = answer["metadata"]["resourceVersion"]
        records[ref] = Applied(digest, frozenset({version}), after)
        if after != version:
            log.info("%s/%s: applied %s %s", *current.key, *ref)
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

    async def _find_unlabelled(self, proxy: MailProxy, ref: ObjectRef) -> Child | None:
        """Find what has a child's name but is not in our caches, as it lacks our label."""
        try:
            body = await self._client.get(CHILD_KINDS[ref.kind], proxy.namespace, ref.name)
        except NotFound:
            return None
        return read_child(body, ref.kind)

    async def _delete(self, proxy: MailProxy, child: Child) -> None:
        resource = CHILD_KINDS[child.kind]
        if await self._client.delete(resource, proxy.namespace, child.name, uid=child.uid):
            log.info("%s/%s: deleted %s", proxy.namespace, proxy.name, child.ref)


def _explain(proxy: MailProxy, ref: ObjectRef, error: ApiError) -> Finding:
    """What a refusal means, and how to fix it."""
    adapter = find_adapter_of(ref.kind)
    if isinstance(error, _NotOwnedError):
        reason = Reason.NOT_OWNED
        text = (
            "already exists and is not managed by this MailProxy, so it is left alone. Delete or"
            " rename it, or give the MailProxy another name."
        )
    elif isinstance(error, NotServed) and adapter:
        reason = Reason.CRD_MISSING
        remedy = adapter.explain_missing_kind(ref.kind)
        text = f"is of a kind that the API server no longer serves: {remedy}."
    elif isinstance(error, FieldNotDeclared) and adapter:
        reason = Reason.CRD_OUTDATED
        remedy = adapter.explain_missing_field(ref.kind, error.field)
        text = f"has the field {error.field}, which the installed CRD does not know: {remedy}."
    else:
        reason, text = Reason.REFUSED, f"is refused by the API server: {error.message}."
    return Finding(find_owner(proxy, ref), reason, f"{ref} {text}", ref)
