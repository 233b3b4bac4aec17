"""The modes of most tests, each Dovecot with each listener mode, and their scenes."""

import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.cluster.scene import Scene
from tests.controlplane.api import wait_for

T = TypeVar("T")
Mode = tuple[str, str]  # version of Dovecot, listeners
MODES: list[Mode] = [(d, listeners) for listeners in ("Separate", "Shared") for d in ("2.3", "2.4")]
SEPARATE = [mode for mode in MODES if mode[1] == "Separate"]
REPLICA_MODES = pytest.mark.parametrize("replica_mode", SEPARATE, ids="-".join)
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])  # index of an address
GREETING_SECONDS = 20.0  # postscreen delays that of a new client by 6 s
POSTSCREEN_SECONDS = 120.0


class Scenes:
    """A scene for each mode; all are created concurrently, as most of it is waiting."""

    def __init__(self, modes: Iterable[Mode], create: Callable[[Mode], Scene]) -> None:
        self._pool = ThreadPoolExecutor(len(MODES))
        self._scenes = {mode: self._pool.submit(create, mode) for mode in modes}

    def get(self, mode: Mode) -> Scene:
        """The scene of a mode, as soon as it is created."""
        return self._scenes[mode].result()

    def delete(self) -> None:
        """Delete all, without waiting."""
        for future in self._scenes.values():
            if not future.exception():
                future.result().delete()


@contextmanager
def run_concurrently(
    modes: Iterable[Mode],
    run: Callable[[Mode], AbstractContextManager[T]],
    at_once: int = len(MODES),
) -> Iterator[dict[Mode, Future[T]]]:
    """Enter a context for each mode, `at_once` at a time; yields their values.

    In the end all are left, concurrently too.
    """
    stacks = {mode: ExitStack() for mode in modes}
    with ThreadPoolExecutor(at_once) as pool:
        entered = {m: pool.submit(stack.enter_context, run(m)) for m, stack in stacks.items()}
        yield entered
        for future in entered.values():  # after a failure the rest is not needed
            future.cancel()
        wait(entered.values())
        list(pool.map(ExitStack.close, stacks.values()))


@contextmanager
def temporary_scenes(modes: Iterable[Mode], create: Callable[[Mode], Scene]) -> Iterator[Scenes]:
    """`Scenes` that are deleted in the end."""
    scenes = Scenes(modes, create)
    yield scenes
    scenes.delete()


def chosen_modes(request: pytest.FixtureRequest, *parameters: str) -> list[Mode]:
    """Modes that the selected tests here need, by the names of their parameters."""
    here = Path(__file__).parent
    items = [item for item in request.session.items if item.path.parent == here]
    calls = [item.callspec.params for item in items if hasattr(item, "callspec")]
    chosen = {call[name] for call in calls for name in parameters if name in call}
    return sorted(chosen, key=MODES.index)


def pass_postscreen(scene: Scene) -> None:
    """Wait for a greeting on port 25 by IPv4 and IPv6: postscreen delays only the first one."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_wait_for_greeting, scene.addresses))


def _wait_for_greeting(address: str) -> None:
    """Wait for `220 `, which postscreen sends after its tests; `220-` comes at once.

    A connection that Traefik accepts before it has routes stays silent, so each attempt is a new
    one.
    """

    def is_greeted() -> bool:
        with socket.create_connection((address, 25), GREETING_SECONDS) as connection:
            lines = iter(connection.makefile("rb").readline, b"")
            return any(line.startswith(b"220 ") for line in lines)

    wait_for(is_greeted, POSTSCREEN_SECONDS, f"a greeting from {address} port 25")
