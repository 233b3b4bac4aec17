"""What the operator makes of those who listen at a proxy pod's address: real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import pytest

from mailproxy.probe.greeting import probe_greeting

V4, V6 = ip_address("127.0.0.1"), ip_address("::1")
NOBODY = ip_address("127.0.0.9")  # of this machine, too, but nobody listens there
PATIENCE, SHORT = 5.0, 0.2

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Somebody who listens; the port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def saying(*parts: bytes) -> Serve:
    """One who says these words, piece by piece, and waits for an answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    return serve


async def closing(*_: Any) -> None:
    """One who closes without a word, as Traefik does when Dovecot has closed."""


@pytest.mark.parametrize(
    "words",
    [
        [b"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID] Dovecot ready.\r\n"],
        [b"+OK Dovecot ready.\r\n"],
        [b"+OK\r\n"],
        [b'"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n', b'"SIEVE" "fileinto"\r\nOK\r\n'],
        [b"*", b" O", b"K ready\r\n"],
    ],
)
async def test_greeting_of_dovecot_is_an_accepted_header(words: list[bytes]) -> None:
    async with listening(saying(*words)) as port:
        assert await probe_greeting([V4], port, PATIENCE) is True


async def test_connection_that_is_closed_without_a_word_is_a_rejected_header() -> None:
    async with listening(closing) as port:
        assert await probe_greeting([V4], port, PATIENCE) is False


async def test_silence_is_a_rejected_header_after_a_short_while() -> None:
    async with listening(saying()) as port, asyncio.timeout(PATIENCE):
        assert await probe_greeting([V4], port, SHORT) is False


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail ESMTP\r\n"])
async def test_words_of_another_server_are_no_answer(words: bytes) -> None:
    async with listening(saying(words)) as port:
        assert await probe_greeting([V4], port, SHORT) is None


async def test_port_on_which_nobody_listens_is_no_answer() -> None:
    async with listening(closing) as port:
        pass
    assert await probe_greeting([V4], port, PATIENCE) is None


async def test_next_address_is_tried_where_the_first_gives_no_answer() -> None:
    async with listening(saying(b"* OK ready\r\n"), "::1") as port:
        assert await probe_greeting([NOBODY, V6], port, PATIENCE) is True
        assert await probe_greeting([NOBODY], port, PATIENCE) is None
