"""Headers that no proxy sends for a client, and which programs greet nevertheless."""

from dataclasses import dataclass

from tests.e2e.proxy_header import (
    SIGNATURE,
    Endpoint,
    Family,
    Transport,
    raw_version_2,
    ssl_tlv,
    tlv,
    version_1,
    version_1_unknown,
    version_2,
    version_2_local,
    version_2_unix,
    version_2_unspec,
)


@dataclass(frozen=True)
class WrongHeader:
    """The first bytes of a connection.

    Attributes:
        postfix: Whether Postfix accepts it as a header, and greets.
        dovecot: Whether Dovecot does.
    """

    name: str
    header: bytes
    postfix: bool = False
    dovecot: bool = False


_ENDS = Endpoint("192.0.2.7", 4000), Endpoint("192.0.2.25", 25)
_ENDS6 = Endpoint("2001:db8::7", 4000), Endpoint("2001:db8::25", 25)
_BODY = version_2(*_ENDS)[16:]
_INET = {"family": Family.INET, "transport": Transport.STREAM}

WRONG_HEADERS = (
    WrongHeader("nothing", b""),
    WrongHeader("SMTP", b"EHLO evil.example.com\r\n"),
    WrongHeader("IMAP", b"a1 CAPABILITY\r\n"),
    WrongHeader("HTTP", b"GET / HTTP/1.1\r\n\r\n"),
    WrongHeader("TLS", bytes.fromhex("1603010200010001fc0303") + bytes(506)),
    WrongHeader("zeros", bytes(64)),
    WrongHeader("much", b"\xff" * 4000),
    # The client is the proxy itself: Postfix accepts LOCAL only, Dovecot both.
    WrongHeader("v2 LOCAL", version_2_local(), postfix=True, dovecot=True),
    WrongHeader("v1 UNKNOWN", version_1_unknown(), dovecot=True),
    WrongHeader("v1 UNKNOWN with more", version_1_unknown("a b 1 2"), dovecot=True),
    # The client does not use TCP.
    WrongHeader("v2 UNSPEC", version_2_unspec()),
    WrongHeader("v2 UNIX", version_2_unix("/client", "/server")),
    WrongHeader("v2 UDP", version_2(*_ENDS, transport=Transport.DGRAM)),
    # Invalid.
    WrongHeader("v2 of version 1", raw_version_2(_BODY, version=0x10, **_INET)),
    WrongHeader("v2 of version 3", raw_version_2(_BODY, version=0x30, **_INET)),
    WrongHeader("v2 of an unknown command", raw_version_2(_BODY, command=15, **_INET)),
    WrongHeader("v2 without addresses", raw_version_2(b"", **_INET)),
    WrongHeader("v2 with a length that is too large", raw_version_2(_BODY, length=200, **_INET)),
    WrongHeader("v2 with a length that is too small", raw_version_2(_BODY, length=11, **_INET)),
    WrongHeader("v2 with the length 65535", raw_version_2(_BODY, length=65535, **_INET)),
    WrongHeader("v2 longer than either reads", version_2(*_ENDS, tlv(4, bytes(5000)))),
    WrongHeader("v1 of another protocol", version_1(*_ENDS).replace(b"TCP4", b"UDP4")),
    WrongHeader("v1 of another family", version_1(*_ENDS6).replace(b"TCP6", b"TCP4")),
    WrongHeader("v1 with a name", version_1(*_ENDS).replace(b"192.0.2.7", b"mail.example.com")),
    WrongHeader("v1 with a high port", version_1(*_ENDS).replace(b"4000", b"70000")),
    WrongHeader("v1 without ports", b"PROXY TCP4 192.0.2.7 192.0.2.25\r\n"),
    WrongHeader("v1 without end", version_1(*_ENDS)[:-2] + b" " * 200),
    WrongHeader("v1 in lower case", version_1(*_ENDS).lower()),
    *(
        WrongHeader(f"{size} bytes of v2", version_2(*_ENDS)[:size])
        for size in (1, len(SIGNATURE) - 1, len(SIGNATURE), 15, 16, 27)
    ),
    *(
        WrongHeader(f"{size} bytes of v1", version_1(*_ENDS)[:size])
        for size in (1, 5, 6, 20, 39, 40)
    ),
)


def valid_headers(sender: Endpoint, receiver: Endpoint) -> list[bytes]:
    """Headers as a basis for random changes; their clients may relay if `mynetworks` is wide.

    Args:
        sender: Of the connection; a pod's.
        receiver: Of the connection.
    """
    own, own6 = Endpoint("127.0.0.1", 25), Endpoint("::1", 25)
    return [
        version_1(sender, receiver),
        version_1(own6, own6),
        version_1_unknown(),
        version_2(own, own),
        version_2(own6, own6),
        version_2(own, own, ssl_tlv(common_name="imap@example.com")),
        version_2_local(),
    ]
