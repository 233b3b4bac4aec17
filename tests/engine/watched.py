"""A reflector of widgets that runs, and what it has reported."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.engine.fault_server import FaultServer
from tests.engine.waiting import VirtualTime, until

from mailproxy.identity import ObjectKey, Resource
from mailproxy.kube.client import KubeClient
from mailproxy.kube.reflector import Pace, Reflector
from mailproxy.options import Options

WIDGETS = Resource("example.dev", "v1", "widgets", "Widget")
A, B, C = (ObjectKey("ns", name) for name in "abc")


class Watched:
    """A reflector of the widgets' sizes, and what it has reported."""

    def __init__(self, client: KubeClient, options: Options | None = None, **content: Any) -> None:
        self.time = VirtualTime()
        self.changes: list[ObjectKey] = []
        self.syncs: list[tuple[bool, str | None]] = []
        self.reflector: Reflector[Any] = Reflector(
            client,
            WIDGETS,
            project=content.pop("project", lambda item: item["size"]),
            on_change=self.changes.append,
            on_sync=lambda: self.syncs.append((self.reflector.served, self.reflector.error)),
            pace=Pace(options or Options(), self.time.clock, self.time.sleep),
            **content,
        )

    @property
    def sizes(self) -> dict[str, Any]:
        return {key.name: size for key, size in self.reflector.objects.items()}


@asynccontextmanager
async def watching(server: FaultServer, client: KubeClient, **content: Any) -> AsyncIterator[Any]:
    """A reflector that has synced and watches."""
    async with running(client, **content) as watched:
        await until(lambda: server.streams)
        yield watched


@asynccontextmanager
async def running(client: KubeClient, **content: Any) -> AsyncIterator[Watched]:
    watched = Watched(client, **content)
    task = asyncio.create_task(watched.reflector.run())
    try:
        yield watched
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])
