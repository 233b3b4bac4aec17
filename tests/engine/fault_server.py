"""An API server over a real socket that misbehaves on demand.

It serves list, watch, get, create, apply and delete of any kind. Faults come in two
ways: `fail` replaces answers, and the `*_streams` methods break the watches that are open.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from aiohttp import web
from tests.engine.object_store import Change, Object, ObjectStore, Place, merge

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]
# What an open watch does next; it ends when the answer is False.
Command = Callable[[web.Request, web.StreamResponse], Awaitable[bool]]

_PATH = re.compile(
    r"/(?:api|apis/[^/]+)/v[^/]+(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/[^/]+)?"
)


def status(code: int, message: str = "", retry_after: int | None = None) -> Fault:
    """Answer with a Status."""
    body = {"kind": "Status", "code": code, "reason": f"R{code}", "message": message}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=code, headers=headers)

    return answer


def text(code: int, body: str) -> Fault:
    """Answer in plain text."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=body)

    return answer


not_served = text(404, "404 page not found\n")


async def hang(_: web.Request) -> NoReturn:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def hang_up(request: web.Request) -> NoReturn:
    """Close the connection instead of answering."""
    request.transport.abort()
    return await hang(request)


async def empty_stream(request: web.Request) -> web.StreamResponse:
    """Accept a watch and end it cleanly at once."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write_eof()
    return response


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class FaultServer:
    def __init__(self) -> None:
        self.store = ObjectStore()
        self.requests: list[Seen] = []
        self.streams: list[asyncio.Queue[Command]] = []  # of the open watches
        self._oldest = 0  # to watch on from an earlier version is a 410
        self._faults: dict[str, Iterator[Fault]] = {}

    async def start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    def change(self, place: Place, new: Object | None) -> Change:
        """Put an object of any kind in its place, or take it away, and show that to the watches."""
        change = self.store.store(place, new)
        self._send(_show(change))
        return change

    def put(
        self, name: str, namespace: str = "ns", labels: Object | None = None, **fields: Any
    ) -> str:
        """Create or replace a widget; returns its uid."""
        fields["metadata"] = {"labels": labels or {}}
        new = self.change(Place("widgets", namespace, name), fields).new
        assert new
        return str(new["metadata"]["uid"])

    def remove(self, name: str, namespace: str = "ns") -> None:
        self.change(Place("widgets", namespace, name), None)

    def forget_history(self) -> None:
        """Know no older versions any more, as after a restart."""
        self.store.version += 1
        self._oldest = self.store.version

    def fail(self, verb: str, *faults: Fault, forever: bool = False) -> None:
        """Answer the next requests of a verb with these, one each, or in turn until `heal`."""
        self._faults[verb] = itertools.cycle(faults) if forever else iter(faults)

    def heal(self) -> None:
        self._faults.clear()

    def count(self, *verbs: str) -> int:
        """How many requests have come, of these verbs or in all."""
        return sum(seen.verb in verbs or not verbs for seen in self.requests)

    def end_streams(self) -> None:
        """End the open watches cleanly."""
        self._send(_end)

    def cut_streams(self) -> None:
        """Close the connections in the middle of an event."""
        self._send(_cut)

    def stall_streams(self) -> None:
        """Send nothing any more and keep the connections open."""
        self._send(_stall)

    def send(self, kind: str, item: Object) -> None:
        """Send an event to all open watches."""
        self._send(_write({"type": kind, "object": item}))

    def bookmark(self) -> None:
        self.send("BOOKMARK", {"metadata": {"resourceVersion": str(self.store.version)}})

    def expire_streams(self) -> None:
        """Send the 410 of a server that has lost the thread, and end the watches."""
        self._send(_write(_TOO_OLD))
        self.end_streams()

    def _send(self, command: Command) -> None:
        for stream in self.streams:
            stream.put_nowait(command)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.text() or "null")
        verb, where = _verb(request), _place(request)
        self.requests.append(Seen(verb, request.path, request.query, request.headers, body))
        if fault := next(self._faults.get(verb, iter(())), None):
            return await fault(request)
        if verb == "list":
            metadata = {"resourceVersion": str(self.store.version)}
            items = self.store.find(where, request.query)
            return web.json_response({"metadata": metadata, "items": items})
        if verb == "watch":
            return await self._watch(request)
        if verb == "create":
            where = where._replace(name=body["metadata"]["name"])
        old = self.store.objects.get(where)
        if refusal := _refuse(verb, body, old):
            return await refusal(request)
        if verb == "get":
            return web.json_response(old)
        if verb == "delete":
            self.change(where, None)
            return web.json_response(old)
        new = merge(old or {}, body)
        if new == old:
            return web.json_response(new)
        return web.json_response(self.change(where, new).new)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        stream: asyncio.Queue[Command] = asyncio.Queue()
        since = int(request.query["resourceVersion"])
        if since < self._oldest:
            stream.put_nowait(_write(_TOO_OLD))
            stream.put_nowait(_end)
        for change in self.store.since(since):
            stream.put_nowait(_show(change))
        self.streams.append(stream)
        try:
            while await (await stream.get())(request, response):
                pass
        finally:
            self.streams.remove(stream)
        return response


def _verb(request: web.Request) -> str:
    if request.method == "GET":
        one = "get" if _place(request).name else "list"
        return "watch" if "watch" in request.query else one
    if request.method == "PATCH":
        return "apply" if "apply-patch" in request.headers["Content-Type"] else "patch"
    return {"POST": "create", "DELETE": "delete"}[request.method]


def _place(request: web.Request) -> Place:
    found = _PATH.fullmatch(request.path)
    assert found, request.path
    return Place(found["plural"], found["namespace"] or "", found["name"] or "")


def _refuse(verb: str, body: Any, old: Object | None) -> Fault | None:
    if old is None:
        return status(404, "not found") if verb in ("get", "delete", "patch") else None
    if verb == "create":
        return status(409, "already exists")
    conditions = (body or {}).get("preconditions" if verb == "delete" else "metadata", {})
    for field in ("uid", "resourceVersion"):
        if conditions.get(field, old["metadata"][field]) != old["metadata"][field]:
            return status(409, f"{field} differs")
    return None


_TOO_OLD = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}


def _write(event: Object) -> Command:
    async def write(_: web.Request, response: web.StreamResponse) -> bool:
        await response.write(json.dumps(event).encode() + b"\n")
        return True

    return write


def _show(change: Change) -> Command:
    async def show(request: web.Request, response: web.StreamResponse) -> bool:
        event = change.event(_place(request), request.query)
        return event is None or await _write(event)(request, response)

    return show


async def _end(_: web.Request, response: web.StreamResponse) -> bool:
    await response.write_eof()
    return False


async def _cut(request: web.Request, response: web.StreamResponse) -> bool:
    await response.write(b'{"type": "DELETED", "object": {"metad')
    request.transport.close()
    return False


async def _stall(request: web.Request, _: web.StreamResponse) -> bool:
    return await hang(request)
