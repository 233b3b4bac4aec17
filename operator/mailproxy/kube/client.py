"""What can be asked of the API server: raw JSON in and out, server-side apply for writes."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, NamedTuple, Self

from mailproxy.identity import Resource
from mailproxy.kube.credentials import Credentials, Login
from mailproxy.kube.errors import Conflict, NotFound, NotServed, TransientError, error_from_status
from mailproxy.kube.transport import Transport
from mailproxy.options import Options


class ObjectList(NamedTuple):
    """One LIST; its items lack `apiVersion` and `kind`, as the API server leaves them out."""

    items: list[dict[str, Any]]
    resource_version: str


class WatchEvent(NamedTuple):
    """`type` is ADDED, MODIFIED, DELETED ("not mine now": also by selector) or BOOKMARK."""

    type: str
    object: dict[str, Any]


class KubeClient:
    """One identity at one API server.

    Every method raises ApiError (or a subclass) for what stays refused and TransientError for
    what may heal.
    """

    def __init__(self, transport: Transport, field_manager: str, max_writes: int) -> None:
        self._transport = transport
        self._field_manager = field_manager
        self._writes = asyncio.Semaphore(max_writes)

    @classmethod
    async def connect(
        cls,
        kubeconfig: str | None,
        context: str | None = None,
        *,
        field_manager: str,
        options: Options | None = None,
    ) -> Self:
        """Make a client without sending a request yet; raises ConfigError.

        It acts as the pod's service account if `kubeconfig` is None and there is one, else by the
        named kubeconfig, `$KUBECONFIG` or `~/.kube/config`.
        """
        options = options or Options()
        login = await Login.load(kubeconfig, context, options.token_seconds)
        transport = Transport(login, options.request_seconds)
        return cls(transport, field_manager, options.max_writes)

    async def close(self) -> None:
        """Close all connections; watches that are still open fail."""
        await self._transport.close()

    async def credentials(self) -> Credentials:
        """Return what another HTTP client needs to act as we do; fresh at each call."""
        return await self._transport.credentials()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """Read one object in its newest state. Raises NotFound, NotServed."""
        return await self._transport.request("get", resource.path(namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> ObjectList:
        """Read all that match, in the newest state.

        Not paged: selectors keep the sets small, and the server's cache ignores a limit.
        """
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        answer = await self._transport.request("list", resource.path(namespace), query)
        return ObjectList(answer.get("items") or [], answer["metadata"]["resourceVersion"])

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str,
        timeout_seconds: float = 270,
        idle_timeout: float = 75,
        on_open: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield what happens after `resource_version`, bookmarks too, until the server ends it.

        `on_open` tells that the server has accepted the watch. Close the generator (`aclosing`):
        a stream that is merely dropped stays open until the garbage collector comes.
        Raises Expired for a 410, be it answer or event, and WatchStalled when no byte came for
        `idle_timeout` seconds.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "resourceVersion": resource_version,
            "timeoutSeconds": str(int(timeout_seconds)),
        }
        path = resource.path(namespace)
        async with aclosing(self._transport.lines(path, query, idle_timeout, on_open)) as lines:
            async for line in lines:
                yield _decode_event(line)

    async def apply(
        self,
        resource: Resource,
        manifest: dict[str, Any],
        *,
        subresource: str | None = None,
        field_manager: str | None = None,
        force: bool = True,
    ) -> dict[str, Any]:
        """Server-side apply `manifest`, which names itself; return the object as it is now.

        What we send is ours, whoever else wants it; without `force` a Conflict says that somebody
        does. Raises FieldNotDeclared when the CRD lacks a field.
        """
        metadata = manifest["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        query = {
            "fieldManager": field_manager or self._field_manager,
            "force": str(force).lower(),
        }
        return await self._write("apply", path, manifest, query)

    async def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, patch: dict[str, Any]
    ) -> dict[str, Any]:
        """JSON merge patch of an object that others make; return it as it is now.

        With `metadata.uid` in it an object that has taken the name meanwhile is refused (422).
        """
        query = {"fieldManager": self._field_manager}
        return await self._write("patch", resource.path(namespace, name), patch, query)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        resource_version: str | None = None,
    ) -> bool:
        """Delete this very object; False when it is gone or another one has taken its name.

        Raises Conflict when it is no longer at `resource_version`.
        """
        preconditions = {"uid": uid}
        if resource_version is not None:
            preconditions["resourceVersion"] = resource_version
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": preconditions,
        }
        try:
            await self._write("delete", resource.path(namespace, name), options)
        except (NotFound, NotServed):
            return False
        except Conflict:
            # Which precondition failed stands only in the prose of the answer: look instead.
            if await self._find_uid(resource, namespace, name) == uid:
                raise
            return False
        return True

    async def create(
        self, resource: Resource, namespace: str | None, manifest: dict[str, Any]
    ) -> dict[str, Any]:
        """Create an object. Raises Conflict when the name is taken."""
        return await self._write("create", resource.path(namespace), manifest)

    async def _write(
        self, verb: str, path: str, body: dict[str, Any], query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        async with self._writes:
            return await self._transport.request(verb, path, query, body)

    async def _find_uid(self, resource: Resource, namespace: str | None, name: str) -> str | None:
        try:
            found = await self.get(resource, namespace, name)
        except (NotFound, NotServed):
            return None
        return str(found["metadata"]["uid"])


def _decode_event(line: bytes) -> WatchEvent:
    try:
        event = json.loads(line)
    except ValueError as error:
        raise TransientError("watch cut off in the middle of an event") from error
    if event["type"] == "ERROR":
        raise error_from_status(event["object"])
    return WatchEvent(event["type"], event["object"])
