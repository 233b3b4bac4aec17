"""The operator's own health; where the kubelet asks by IPv6 alone, too."""

import pytest
from aiohttp import ClientSession

from mailproxy.app.health import serve_health

HOSTS = ("127.0.0.1", "[::1]")


async def ask(host: str, port: int, path: str) -> tuple[int, str]:
    async with ClientSession() as session, session.get(f"http://{host}:{port}{path}") as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("host", HOSTS)
async def test_health_is_served_on_ipv4_and_on_ipv6(host: str) -> None:
    async with serve_health(0, list, list) as port:
        assert await ask(host, port, "/healthz") == (200, "ok")
        assert await ask(host, port, "/readyz") == (200, "ok")


async def test_each_path_fails_alone_and_names_its_problems() -> None:
    async with serve_health(0, list, lambda: ["no pods", "no nodes"]) as port:
        assert await ask("127.0.0.1", port, "/healthz") == (200, "ok")
        assert await ask("127.0.0.1", port, "/readyz") == (503, "no pods\nno nodes")
