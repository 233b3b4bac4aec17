"""The watches that the present owners need: shared by those who want the same, ended after use."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from mailproxy.identity import ObjectKey, Resource
from mailproxy.kube.client import KubeClient
from mailproxy.kube.reflector import Pace, Reflector
from mailproxy.options import Options

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Watch:
    """What to watch; equal ones share a stream, so write the same selector always alike."""

    resource: Resource
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""


class _Follower:
    """Passes on each change together with the value before it."""

    def __init__(
        self,
        objects: Mapping[ObjectKey, Any],
        on_change: Callable[[ObjectKey, Any, Any], None],
        on_sync: Callable[[], None],
    ) -> None:
        self.on_sync = on_sync
        self._objects = objects
        self._on_change = on_change
        self._seen: dict[ObjectKey, Any] = {}

    def changed(self, key: ObjectKey) -> None:
        old, new = self._seen.pop(key, None), self._objects.get(key)
        if new is not None:
            self._seen[key] = new
        self._on_change(key, old, new)


@dataclass(eq=False)
class _Stream(Generic[K]):
    """A reflector and all those whom its changes concern."""

    reflector: Reflector[Any]
    owners: set[K] = field(default_factory=set)
    followers: list[_Follower] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    ending: asyncio.TimerHandle | None = None


class Sources(Generic[K]):
    """Reflectors by Watch, and who wants them.

    `projections` says for each kind what is kept of an object. `on_trigger(owner)` is called when
    something the owner wants has changed, has synced for the first time, or has changed its
    `served` or `error`.
    """

    def __init__(
        self,
        client: KubeClient,
        projections: Mapping[Resource, Callable[[dict[str, Any]], Any]],
        on_trigger: Callable[[K], None],
        options: Options,
        *,
        pace: Pace | None = None,
    ) -> None:
        self._client = client
        self._projections = projections
        self._on_trigger = on_trigger
        self._grace_seconds = options.watch_keep_seconds
        self._pace = pace or Pace(options)
        self._streams: dict[Watch, _Stream[K]] = {}
        self._wanted: dict[K, frozenset[Watch]] = {}
        self._group: asyncio.TaskGroup | None = None

    def want(self, owner: K, watches: Iterable[Watch]) -> None:
        """Set all that the owner wants from now on; asking again for the same costs nothing."""
        wanted = frozenset(watches)
        before = self._wanted.pop(owner, frozenset())
        if wanted:
            self._wanted[owner] = wanted
        for watch in wanted - before:
            self._use(watch).owners.add(owner)
        for watch in before - wanted:
            self._streams[watch].owners.discard(owner)
            self._end_later(watch)

    def drop(self, owner: K) -> None:
        """Forget the owner: it wants nothing any more."""
        self.want(owner, ())

    def follow(
        self,
        watch: Watch,
        on_change: Callable[[ObjectKey, Any, Any], None],
        on_sync: Callable[[], None] = lambda: None,
    ) -> Reflector[Any]:
        """Watch for good; `on_change(key, old, new)` gets the projected values, None for absent.

        With the old value a deleted child can be led back to its owner by its labels.
        """
        stream = self._use(watch)
        follower = _Follower(stream.reflector.objects, on_change, on_sync)
        stream.followers.append(follower)
        for key in tuple(stream.reflector.objects):
            follower.changed(key)
        return stream.reflector

    def get(self, watch: Watch) -> Reflector[Any]:
        """Return the reflector of a watch that somebody wants; KeyError for any other."""
        return self._streams[watch].reflector

    def objects(self, watch: Watch) -> Mapping[ObjectKey, Any]:
        """Return the projected objects of a watch that somebody wants; KeyError for any other."""
        objects: Mapping[ObjectKey, Any] = self.get(watch).objects
        return objects

    @property
    def reflectors(self) -> dict[Watch, Reflector[Any]]:
        """All that run now."""
        return {watch: stream.reflector for watch, stream in self._streams.items()}

    async def run(self) -> None:
        """Carry all reflectors until cancelled; if one crashes, so does this."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for stream in self._streams.values():
                    self._start(stream)
                await asyncio.Event().wait()
        finally:
            self._group = None

    def _use(self, watch: Watch) -> _Stream[K]:
        """Return the stream of a watch, started if it is new, saved if it was about to end."""
        stream = self._streams.get(watch)
        if stream is None:
            reflector: Reflector[Any] = Reflector(
                self._client,
                watch.resource,
                namespace=watch.namespace,
                label_selector=watch.label_selector,
                field_selector=watch.field_selector,
                project=self._projections[watch.resource],
                on_change=partial(self._changed, watch),
                on_sync=partial(self._synced, watch),
                pace=self._pace,
            )
            stream = self._streams[watch] = _Stream(reflector)
            self._start(stream)
        if stream.ending:
            stream.ending.cancel()
            stream.ending = None
        return stream

    def _start(self, stream: _Stream[K]) -> None:
        if self._group:
            stream.task = self._group.create_task(
                stream.reflector.run(), name=str(stream.reflector)
            )

    def _end_later(self, watch: Watch) -> None:
        """End a stream that nobody wants, unless somebody asks for it again soon."""
        stream = self._streams[watch]
        if stream.owners or stream.followers:
            return
        if stream.task:
            loop = asyncio.get_running_loop()
            stream.ending = loop.call_later(self._grace_seconds, self._end, watch)
        else:
            self._end(watch)

    def _end(self, watch: Watch) -> None:
        stream = self._streams.pop(watch)
        if stream.task:
            stream.task.cancel()

    def _changed(self, watch: Watch, key: ObjectKey) -> None:
        stream = self._streams[watch]
        for follower in stream.followers:
            follower.changed(key)
        for owner in tuple(stream.owners):
            self._on_trigger(owner)

    def _synced(self, watch: Watch) -> None:
        stream = self._streams[watch]
        for follower in stream.followers:
            follower.on_sync()
        for owner in tuple(stream.owners):
            self._on_trigger(owner)
