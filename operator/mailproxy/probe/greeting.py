"""The operator's own connections through proxy pods: does a mail server greet there?"""

import asyncio
from collections.abc import Sequence

from mailproxy.observed.addresses import Address

# IMAP (RFC 9051, section 7.1), POP3 (RFC 1939, section 4), ManageSieve (RFC 5804, section 1.7)
GREETINGS = (b"* OK", b"+OK", b'"IMPLEMENTATION"')
_LONGEST = max(map(len, GREETINGS))


async def probe_greeting(addresses: Sequence[Address], port: int, patience: float) -> bool | None:
    """Connect to a proxy pod and wait for the mail server's first words.

    Returns True for a greeting; False when the connection is closed or silent for `patience`
    seconds, as a mail server leaves it that rejects the proxy's header; None when that cannot be
    told: nobody listens, nothing leads there, or somebody else answers. Later addresses of the
    pod are tried only then.
    """
    for address in addresses:
        answer = await _probe_address(str(address), port, patience)
        if answer is not None:
            return answer
    return None


async def _probe_address(address: str, port: int, patience: float) -> bool | None:
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return None
    try:
        async with asyncio.timeout(patience):
            received = await _read_start(reader)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.transport.abort()  # nothing is owed to the other side, and nothing to wait for
    if received.startswith(GREETINGS):
        return True
    return None if received else False


async def _read_start(reader: asyncio.StreamReader) -> bytes:
    """Enough bytes to tell a greeting, fewer when the connection ends before."""
    received = b""
    while len(received) < _LONGEST and not received.startswith(GREETINGS):
        more = await reader.read(_LONGEST - len(received))
        if not more:
            break
        received += more
    return received
