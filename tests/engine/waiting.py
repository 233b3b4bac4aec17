"""Waiting for conditions, and a time that passes only when somebody sleeps in it."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Return as soon as the condition holds."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  any condition, not just an event
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"does not come true: {condition}") from None


class VirtualTime:
    """A clock and a sleep that belong together; no real time passes in `sleep`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds:
            self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
