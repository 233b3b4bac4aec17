"""kopf as the shell: login, the watch that says "look again", start and stop. No more than that.

kopf's state machine (create and update handlers, daemons, timers, indexes) is not used: it writes
annotations and finalizers into users' objects and never notices a deletion that it has missed.
With `on.event` and activities alone kopf writes nothing at all.
"""

import asyncio
import logging
import math
import random
import time
from typing import Any

import aiohttp
import kopf

from mailproxy.api.base import GROUP, PLURAL, VERSION
from mailproxy.engine.workqueue import WorkQueue
from mailproxy.identity import ObjectKey
from mailproxy.kube.client import KubeClient
from mailproxy.options import Options

log = logging.getLogger(__name__)

KOPF_WATCH_TASK = f"watcher for {PLURAL}"  # kopf's own name for it


class LoginPace:
    """How long to wait before a login: kopf logs in again at once when it is refused."""

    def __init__(self, max_delay: float) -> None:
        self._max_delay = max_delay
        self._last = -math.inf
        self._delay = 0.0

    def next_delay(self, now: float) -> float:
        """Seconds to wait: none after a quiet time, else twice as long as before, up to a limit."""
        was_quiet = now - self._last > 2 * self._max_delay
        self._delay = 0.0 if was_quiet else min(max(1.0, 2 * self._delay), self._max_delay)
        self._last = now + self._delay
        return self._delay


def build_registry(
    client: KubeClient, queue: WorkQueue[ObjectKey], options: Options
) -> kopf.OperatorRegistry:
    """Make the handlers; none of them decides anything."""
    registry = kopf.OperatorRegistry()
    pace = LoginPace(options.login_max_delay_seconds)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        await asyncio.sleep(pace.next_delay(time.monotonic()))
        # A new session each time: kopf refuses one that it has seen fail, and closes it itself.
        credentials = await client.credentials()
        headers = {"Authorization": f"Bearer {credentials.token}"} if credentials.token else {}
        connector = aiohttp.TCPConnector(limit=0, ssl=credentials.ssl_context)
        session = aiohttp.ClientSession(
            connector=connector, headers=headers, proxy=credentials.proxy
        )
        return kopf.AiohttpSession(server=credentials.server, aiohttp_session=session)

    @kopf.on.startup(registry=registry)
    async def started(**_: Any) -> None:
        log.info("started")

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def look_again(namespace: str | None, name: str | None, **_: Any) -> None:
        queue.add(ObjectKey(namespace or "", name or ""))

    @kopf.on.cleanup(registry=registry)
    async def stopped(**_: Any) -> None:
        log.info("stopped")

    return registry


def build_settings(options: Options) -> kopf.OperatorSettings:
    """Settings with the defects of kopf 1.45 in mind (docs/architecture.md, "kopf")."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = options.exit_seconds
    low, high = options.watch_min_seconds, options.watch_max_seconds
    watch_seconds = int(random.uniform(low, high))  # noqa: S311 - spreads load, guards nothing
    settings.watching.server_timeout = watch_seconds
    settings.watching.client_timeout = watch_seconds + 15
    settings.watching.connect_timeout = options.request_seconds
    # The inactivity timeout can cancel the watcher itself, which then never comes back.
    settings.watching.inactivity_timeout = 10 * 365 * 86400
    settings.watching.reconnect_backoff = 0.5
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 3 * options.request_seconds
    settings.networking.connect_timeout = options.request_seconds
    settings.networking.error_backoffs = [0.5, 1, 2, 4, 8, 15, *[30] * 30]
    for chatty in ("kopf.objects", "kopf.activities"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return settings
