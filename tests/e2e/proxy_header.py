"""PROXY protocol headers, right ones and wrong ones, for clients that a test plays itself.

Source of all: PROXY protocol specification (haproxy.org, proxy-protocol.txt), whose sections are
named below. Nothing but the standard library.
"""

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # section 2.2: no line of it can begin a mail protocol
VERSION = 0x20


class Command(IntEnum):
    """Low half of a v2 header's 13th byte: is the client the peer itself, or who is named?"""

    LOCAL = 0
    PROXY = 1


class Transport(IntEnum):
    """Low half of a v2 header's 14th byte."""

    UNSPEC = 0
    STREAM = 1
    DGRAM = 2


class Family(IntEnum):
    """High half of a v2 header's 14th byte."""

    UNSPEC = 0
    INET = 1
    INET6 = 2
    UNIX = 3


class Tlv(IntEnum):
    """Types of the extensions that follow the addresses, sections 2.2.1 to 2.2.8."""

    ALPN = 0x01
    AUTHORITY = 0x02
    CRC32C = 0x03
    NOOP = 0x04
    UNIQUE_ID = 0x05
    SSL = 0x20
    SSL_VERSION = 0x21
    SSL_CN = 0x22
    NETNS = 0x30


@dataclass(frozen=True)
class Endpoint:
    """One end of a TCP connection."""

    address: str
    port: int


@dataclass(frozen=True)
class Mutation:
    """The wrong header number `number` of a seed; the same pair makes the same header again."""

    seed: int
    number: int
    header: bytes


def version_1(source: Endpoint, destination: Endpoint) -> bytes:
    """Line of text for a connection over TCP, at most 107 bytes with its end (section 2.1).

    Raises:
        ValueError: The addresses are of different families, or none.
    """
    protocol = "TCP4" if _version(source, destination) == 4 else "TCP6"
    addresses = f"{source.address} {destination.address}"
    return f"PROXY {protocol} {addresses} {source.port} {destination.port}\r\n".encode()


def version_1_unknown(rest: str = "") -> bytes:
    """The line that tells nothing of the client; a receiver ignores the `rest` (section 2.1)."""
    return f"PROXY UNKNOWN{' ' if rest else ''}{rest}\r\n".encode()


def version_2(
    source: Endpoint,
    destination: Endpoint,
    *tlvs: bytes,
    transport: Transport = Transport.STREAM,
    command: Command = Command.PROXY,
) -> bytes:
    """28 bytes for IPv4 or 52 for IPv6, and the TLVs; integers are big-endian (section 2.2).

    Raises:
        ValueError: The addresses are of different families, or none.
    """
    family = Family.INET if _version(source, destination) == 4 else Family.INET6
    addresses = b"".join(ip_address(end.address).packed for end in (source, destination))
    ports = struct.pack("!HH", source.port, destination.port)
    return raw_version_2(
        addresses + ports + b"".join(tlvs), command=command, family=family, transport=transport
    )


def version_2_local(*tlvs: bytes) -> bytes:
    """The proxy speaks for itself, as its health checks do (section 2.2, command LOCAL)."""
    return raw_version_2(b"".join(tlvs), command=Command.LOCAL)


def version_2_unspec(*tlvs: bytes) -> bytes:
    """For a client, but of a protocol that the header cannot name (section 2.2, AF_UNSPEC)."""
    return raw_version_2(b"".join(tlvs))


def version_2_unix(source: str, destination: str) -> bytes:
    """Two paths of 108 bytes, zero-filled (section 2.2, AF_UNIX)."""
    paths = struct.pack("108s108s", source.encode(), destination.encode())
    return raw_version_2(paths, family=Family.UNIX, transport=Transport.STREAM)


def raw_version_2(
    body: bytes,
    *,
    command: int = Command.PROXY,
    family: int = Family.UNSPEC,
    transport: int = Transport.UNSPEC,
    length: int | None = None,
    version: int = VERSION,
) -> bytes:
    """A v2 header of any content (section 2.2).

    Args:
        body: Addresses and TLVs.
        length: What the header says of the body's size in bytes, if it is to lie.
    """
    stated = len(body) if length is None else length
    return (
        SIGNATURE + struct.pack("!BBH", version | command, family << 4 | transport, stated) + body
    )


def tlv(kind: int, value: bytes) -> bytes:
    """An extension: type, length in two bytes, value (section 2.2.1)."""
    return struct.pack("!BH", kind, len(value)) + value


def ssl_tlv(*, over_tls: bool = True, verified: bool = True, common_name: str = "") -> bytes:
    """The claim that the client came to the proxy over TLS, and who it is (section 2.2.6).

    Args:
        over_tls: PP2_CLIENT_SSL; with a common name also PP2_CLIENT_CERT_CONN and _SESS.
        verified: The proxy verified the client's certificate: zero in the field `verify`.
    """
    client = (1 if over_tls else 0) | (6 if common_name else 0)
    inner = tlv(Tlv.SSL_VERSION, b"TLSv1.3")
    if common_name:
        inner += tlv(Tlv.SSL_CN, common_name.encode())
    return tlv(Tlv.SSL, struct.pack("!BI", client, 0 if verified else 1) + inner)


def truncations(header: bytes) -> Iterator[bytes]:
    """Every beginning of a header that is not the whole, from one byte on."""
    return (header[:size] for size in range(1, len(header)))


def mutations(seed: int, count: int, headers: Sequence[bytes]) -> Iterator[Mutation]:
    """`count` random changes of valid headers, each of which differs from all of them.

    Args:
        headers: Valid ones to begin with.
    """
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        changed = chance.choice(headers)
        while changed in headers:
            for _ in range(chance.choice((1, 1, 1, 2, 4))):
                changed = _mutate(chance, changed)
        yield Mutation(seed, number, changed)


def _mutate(chance: random.Random, header: bytes) -> bytes:
    """One change at one place."""
    place = chance.randrange(len(header) + 1)
    before, after = header[:place], header[place:]
    some = chance.randbytes(chance.choice((1, 2, 4, 16, 300)))
    match chance.choice(("flip", "set", "insert", "remove", "cut", "append", "repeat", "length")):
        case "flip" if after:
            return before + bytes([after[0] ^ 1 << chance.randrange(8)]) + after[1:]
        case "set" if after:
            edge_case = chance.choice((0x00, 0x0A, 0x0D, 0x20, 0x30, 0x7F, 0x80, 0xFF))
            return before + bytes([edge_case]) + after[1:]
        case "insert":
            return before + some + after
        case "remove":
            return before + after[chance.randrange(1, 9) :]
        case "cut":
            return before
        case "repeat":
            return header * chance.randrange(2, 5)
        case "length" if len(header) >= 16:  # section 2.2: bytes 15 and 16 of a v2 header
            return header[:14] + chance.randbytes(2) + header[16:]
    return header + some


def _version(source: Endpoint, destination: Endpoint) -> int:
    versions = {ip_address(end.address).version for end in (source, destination)}
    if len(versions) > 1:
        raise ValueError(f"{source.address} and {destination.address} are of different families")
    return versions.pop()
