"""The folder where built and downloaded programs stay between runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane.progress import Heartbeat


def cache_dir() -> Path:
    """`$MAILPROXY_CACHE`, or `mailproxy` in the user's cache folder; it need not exist yet."""
    if chosen := os.environ.get("MAILPROXY_CACHE"):
        return Path(chosen).expanduser().resolve()
    user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(user_cache).expanduser() / "mailproxy"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time fill `folder`; the others wait here, and say so.

    The lock is the kernel's, on the file `<folder>.lock`: it ends with the process that holds it,
    so a killed one leaves nothing to clean up.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        with Heartbeat(f"Another process fills {folder}, waiting for it"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
