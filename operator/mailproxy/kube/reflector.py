"""A local copy of the objects that match one selector, kept true through every kind of fault.

List, compare with what is held *including what is gone*, then watch. Why not kopf's or the
client's own: after a new list kopf never notices deletions, and for us an address that outlives
its pod stays trusted.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from mailproxy.identity import ObjectKey, Resource
from mailproxy.kube.client import KubeClient, WatchEvent
from mailproxy.kube.errors import ApiError, Expired, NotServed, TransientError, WatchStalled
from mailproxy.options import Options

T = TypeVar("T")
log = logging.getLogger(__name__)
_ABSENT = object()  # a projected value may well be None


@dataclass(frozen=True)
class Pace:
    """How long a reflector waits for what; tests put their own time in."""

    options: Options = field(default_factory=Options)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    def pick(self, low: float, high: float) -> float:
        """Choose a time from `low` to `high` at random."""
        return low + (high - low) * self.chance()

    def watch(self) -> float:
        """Choose how long a watch may take, so that streams do not all come back together."""
        return self.pick(self.options.watch_min_seconds, self.options.watch_max_seconds)

    def not_served(self) -> float:
        """Choose the wait until a kind is asked for again that is not served."""
        return self.pick(self.options.not_served_seconds / 2, self.options.not_served_seconds)

    def backoff(self, failures: int) -> float:
        """Choose the wait after so many failures in a row: it doubles, half of it is chance."""
        wait = self.options.watch_retry_min_seconds * 2 ** min(failures - 1, 16)
        wait = min(wait, self.options.watch_retry_max_seconds)
        return self.pick(wait / 2, wait)


class Reflector(Generic[T]):
    """Holds `project(object)` of each object that matches; raw objects are not kept.

    `on_change(key)` is called when a projected value appeared, changed (`==`) or went,
    `on_sync()` after the first list and whenever `served` or `error` changes. Both must not raise.
    """

    served = True  # False while the API server does not know the kind: its CRD is missing
    error: str | None = None  # what keeps `objects` from being in step; None while all is well

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        project: Callable[[dict[str, Any]], T],
        on_change: Callable[[ObjectKey], None],
        on_sync: Callable[[], None] = lambda: None,
        pace: Pace | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._selectors = {"label_selector": label_selector, "field_selector": field_selector}
        self._project = project
        self._on_change = on_change
        self._on_sync = on_sync
        self._pace = pace or Pace()
        self._objects: dict[ObjectKey, T] = {}
        self._version: str | None = None  # where to watch on from; None asks for a list
        self._failures = 0  # in a row
        self._synced = asyncio.Event()

    def __str__(self) -> str:
        selectors = " ".join(filter(None, self._selectors.values()))
        return f"{self._resource.path(self._namespace)} {selectors}".rstrip()

    @property
    def objects(self) -> Mapping[ObjectKey, T]:
        """A live, read-only view of what is known; it says nothing before `synced`."""
        return MappingProxyType(self._objects)

    @property
    def synced(self) -> bool:
        """Whether there was a list, or the kind turned out not to be served."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return as soon as `synced` holds."""
        await self._synced.wait()

    async def run(self) -> None:
        """Keep `objects` in step until cancelled; nothing else ends it."""
        while True:
            await self._pace.sleep(await self._step())

    async def _step(self) -> float:
        """Do one list or one watch; return the seconds to wait before the next."""
        try:
            if self._version is None:
                await self._list()
                return 0.0
            useful = await self._watch(self._version)
            return 0.0 if useful else self._fail()
        except NotServed:
            self._forget_all()
            return self._pace.not_served()
        except Expired as error:
            self._version = None
            return self._fail(error)
        except TransientError as error:
            if isinstance(error, WatchStalled):
                self._version = None
            return self._fail(error) + (error.retry_after or 0.0)
        except ApiError as error:
            return self._fail(error, at_once=True)
        except Exception as error:
            # A bug, such as an object that `project` cannot take: we are blind until it is cured.
            log.exception("%s: cannot be followed", self)
            self._version = None
            return self._fail(error, at_once=True)

    async def _list(self) -> None:
        # The newest state, not what a server has cached: that may lag behind and show a pod that
        # is gone, whose address would be trusted.
        listed = await self._client.list(self._resource, self._namespace, **self._selectors)
        fresh = {_key_of(item): self._project(item) for item in listed.items}
        for key in self._objects.keys() - fresh.keys():
            self._remove(key)
        for key, value in fresh.items():
            self._put(key, value)
        self._version = listed.resource_version
        self._report(served=True, error=self.error)

    async def _watch(self, version: str) -> bool:
        """Follow one stream to its end; return whether it was of any use."""
        started = self._pace.clock()
        useful = False
        watch = self._client.watch(
            self._resource,
            self._namespace,
            **self._selectors,
            resource_version=version,
            timeout_seconds=self._pace.watch(),
            idle_timeout=self._pace.options.watch_idle_seconds,
            on_open=self._opened,
        )
        try:
            async with aclosing(watch) as events:
                async for event in events:
                    useful = True
                    self._handle(event)
        finally:
            age = self._pace.clock() - started
            useful = useful or age >= self._pace.options.watch_short_seconds
            if useful:
                self._failures = 0
        return useful

    def _opened(self) -> None:
        self._report(served=True, error=None)

    def _handle(self, event: WatchEvent) -> None:
        if event.type in ("ADDED", "MODIFIED"):
            self._put(_key_of(event.object), self._project(event.object))
        elif event.type == "DELETED":
            self._remove(_key_of(event.object))
        self._version = event.object["metadata"]["resourceVersion"]

    def _put(self, key: ObjectKey, value: T) -> None:
        if self._objects.get(key, _ABSENT) != value:
            self._objects[key] = value
            self._on_change(key)

    def _remove(self, key: ObjectKey) -> None:
        if self._objects.pop(key, _ABSENT) is not _ABSENT:
            self._on_change(key)

    def _forget_all(self) -> None:
        """Take note that the kind is not served, so that none of its objects exists."""
        self._version = None
        self._failures = 0
        for key in list(self._objects):
            self._remove(key)
        self._report(served=False, error=None)

    def _fail(self, error: Exception | None = None, *, at_once: bool = False) -> float:
        """Count a failure and return the wait; one that may heal is no news until it repeats."""
        self._failures += 1
        if error and (at_once or self._failures > 1):
            self._report(served=self.served, error=str(error), synced=self.synced)
        return self._pace.backoff(self._failures)

    def _report(self, *, served: bool, error: str | None, synced: bool = True) -> None:
        """Set what is known about the stream itself, and call `on_sync` if that is news."""
        if error != self.error:
            level = logging.WARNING if error else logging.INFO
            log.log(level, "%s: %s", self, error or "watch recovered")
        if served != self.served:
            log.info("%s: %s", self, "is served now" if served else "is not served, no such CRD")
        news = (served, error, synced) != (self.served, self.error, self.synced)
        self.served, self.error = served, error
        if synced:
            self._synced.set()
        if news:
            self._on_sync()


def _key_of(item: dict[str, Any]) -> ObjectKey:
    metadata = item["metadata"]
    return ObjectKey(metadata.get("namespace", ""), metadata["name"])
