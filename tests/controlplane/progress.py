"""Signs of life: a build of several minutes must not look like a hang."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Self

INTERVAL_SECONDS = 15.0


def announce(text: str) -> None:
    """Print one line about what happens now."""
    print(f"[control plane] {text}", file=sys.stderr, flush=True)


class Heartbeat:
    """While entered: after each interval, a line with `title`, the elapsed time and `detail()`."""

    def __init__(self, title: str, detail: Callable[[], str] = lambda: "") -> None:
        self._title = title
        self._detail = detail
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(INTERVAL_SECONDS):
            minutes, seconds = divmod(round(time.monotonic() - started), 60)
            detail = self._detail()
            announce(f"{self._title}: {minutes}:{seconds:02}" + (f", {detail}" if detail else ""))
