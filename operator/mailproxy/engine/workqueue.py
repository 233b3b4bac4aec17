"""The queue of keys that await a run, and the workers that serve it.

A key is ready, active (a worker has it) or delayed. An active key that is added is remembered
and runs once more afterwards, so no two workers ever have the same key. A run that comes sooner
replaces a later one, because every run says anew when it wants the next.
"""

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mailproxy.kube.errors import TransientError
from mailproxy.options import Options

K = TypeVar("K", bound=Hashable)

log = logging.getLogger(__name__)


class QueueClosed(Exception):  # noqa: N818  no error: it is how a worker learns that it may go
    """The queue was shut down."""


@dataclass(frozen=True)
class Result:
    """How a run ended well; `requeue_after` asks for another in so many seconds."""

    requeue_after: float | None = None


class WorkQueue(Generic[K]):
    """Keys, each once, in the order in which they came.

    `loop` gives `time` and `call_later`, for tests with a time of their own.
    """

    failures = 0  # runs that raised something unexpected

    def __init__(
        self,
        options: Options,
        loop: asyncio.AbstractEventLoop | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._options = options
        self._loop = loop
        self._chance = chance
        self._ready: OrderedDict[K, None] = OrderedDict()
        self._active: dict[K, bool] = {}  # whether it was added again meanwhile
        self._delayed: dict[K, asyncio.TimerHandle] = {}
        self._retries: dict[K, int] = {}
        self._wakeup = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """How many keys are ready and wait for a worker."""
        return len(self._ready)

    def add(self, key: K) -> None:
        """Have the key run now or, if it is running, once more."""
        if self._closed:
            return
        self._cancel(key)
        if key in self._active:
            self._active[key] = True
        else:
            self._ready[key] = None
            self._wakeup.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key run in `seconds` at the latest; an earlier appointment stands."""
        if self._closed or key in self._ready:
            return
        loop = self._loop or asyncio.get_running_loop()
        earlier = self._delayed.get(key)
        if earlier and earlier.when() <= loop.time() + seconds:
            return
        self._cancel(key)
        self._delayed[key] = loop.call_later(seconds, self.add, key)

    def retry(self, key: K, at_least: float | None = None) -> None:
        """Have the key run after a wait that doubles with each retry until `forget`."""
        count = self._retries.get(key, 0)
        self._retries[key] = count + 1
        wait = self._options.retry_min_seconds * 2 ** min(count, 16)
        wait = min(wait + wait / 2 * self._chance(), self._options.retry_max_seconds)
        self.add_after(key, max(wait, at_least or 0.0))

    def forget(self, key: K) -> None:
        """Forget the key's failures: its next retry waits the shortest time again."""
        self._retries.pop(key, None)

    async def get(self) -> K:
        """Wait for a key and take it; the caller owes a `done`. Raises QueueClosed."""
        while not self._ready:
            if self._closed:
                raise QueueClosed
            self._wakeup.clear()
            await self._wakeup.wait()
        key, _ = self._ready.popitem(last=False)
        self._active[key] = False
        return key

    def done(self, key: K) -> None:
        """Give the key back after its run, however that ended."""
        if self._active.pop(key):
            self.add(key)

    def shutdown(self) -> None:
        """Hand out no more keys and drop those that wait; workers end after their present run."""
        self._closed = True
        self._ready.clear()
        for key in list(self._delayed):
            self._cancel(key)
        self._wakeup.set()

    def _cancel(self, key: K) -> None:
        if timer := self._delayed.pop(key, None):
            timer.cancel()


async def run_workers(
    queue: WorkQueue[K], count: int, handle: Callable[[K], Awaitable[Result]]
) -> None:
    """Serve the queue with `count` workers until it is shut down.

    When cancelled, the keys whose run was cut short are ready again.
    """
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(_work(queue, handle), name=f"worker {number}")


async def _work(queue: WorkQueue[K], handle: Callable[[K], Awaitable[Result]]) -> None:
    while True:
        try:
            key = await queue.get()
        except QueueClosed:
            return
        try:
            await _run(queue, key, handle)
        except BaseException:
            queue.add(key)
            raise
        finally:
            queue.done(key)


async def _run(queue: WorkQueue[K], key: K, handle: Callable[[K], Awaitable[Result]]) -> None:
    try:
        result = await handle(key)
    except TransientError as error:
        log.warning("%s: retrying: %s", key, error)
        queue.retry(key, error.retry_after)
    except Exception:
        log.exception("%s: unexpected error, retrying", key)
        queue.failures += 1
        queue.retry(key)
    else:
        queue.forget(key)
        if result.requeue_after is not None:
            queue.add_after(key, result.requeue_after)
