"""An event loop as far as the work queue knows one, whose time a test moves."""

import asyncio
from collections.abc import Callable
from typing import Any

from mailproxy.engine.workqueue import WorkQueue


class FakeTimer:
    def __init__(self, when: float, fire: Callable[[], None]) -> None:
        self.fire = fire
        self._when = when

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self.fire = lambda: None


class FakeLoop(asyncio.AbstractEventLoop):
    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[FakeTimer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        timer = FakeTimer(self.now + delay, lambda: callback(*args))
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.timers.sort(key=FakeTimer.when)
        while self.timers and self.timers[0].when() <= self.now:
            self.timers.pop(0).fire()


def take(queue: WorkQueue[str]) -> str:
    """Take a key that is ready; nothing has to be waited for."""
    getting = queue.get()
    try:
        getting.send(None)
    except StopIteration as got:
        return str(got.value)
    raise AssertionError("no key was ready")
