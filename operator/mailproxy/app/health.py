"""Health of the operator's own pod, over HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from mailproxy.app.shell import KOPF_WATCH_TASK

FindProblems = Callable[[], list[str]]


class KopfHealth:
    """Whether kopf's watch still lives: it has been seen to end without a word."""

    def __init__(self) -> None:
        self._was_seen = False

    def find_problems(self) -> list[str]:
        """Name the watch if it was there once and is gone."""
        names = (task.get_name() for task in asyncio.all_tasks())
        is_alive = any(name.startswith(KOPF_WATCH_TASK) for name in names)
        self._was_seen = self._was_seen or is_alive
        return [] if is_alive or not self._was_seen else [f"no task `{KOPF_WATCH_TASK}`"]


@asynccontextmanager
async def serve_health(
    port: int, unhealthy: FindProblems, unready: FindProblems
) -> AsyncIterator[int]:
    """Serve `/healthz` and `/readyz` on all addresses: 200 `ok`, or 503 with what is wrong.

    Yields the port, which the system chooses for port 0.
    """

    def answer(problems: list[str]) -> web.Response:
        return web.Response(text="\n".join(problems) or "ok", status=503 if problems else 200)

    async def healthz(_: web.Request) -> web.Response:
        return answer(unhealthy())

    async def readyz(_: web.Request) -> web.Response:
        return answer(unready())

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, _listen(port)).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _listen(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6, so that port 0 is the same one for both."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
