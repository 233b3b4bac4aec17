"""Captures the PROXY headers in the network of the node.

It needs only Python's standard library and root, as it runs itself in the node's network namespace
and prints each header there as a line of JSON. See `HeaderCapture`.
"""

import json
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

ALL_PROTOCOLS = socket.htons(3)  # ETH_P_ALL
TCP = 6
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # PROXY protocol specification, section 2.2
SNAP = 512  # bytes of each packet
BUFFER = 64 << 20  # bytes; the traffic of Kubernetes overflows a small one
SO_RCVBUFFORCE = 33
LENGTHS = {0x11: 4, 0x21: 16}  # of an address, for TCP over IPv4 and over IPv6


@dataclass(frozen=True)
class Header:
    """The beginning of a connection of the edge.

    Attributes:
        server, port: The mail server's pod and its PROXY port.
        version: Of the header, 1 or 2.
        client, client_port: As the header names them.
        content: The first bytes, for messages.
    """

    server: str
    port: int
    version: int
    client: str
    client_port: int
    content: str


class HeaderCapture:
    """Collects the headers of new IPv4 connections within the node; a context manager.

    Attributes:
        headers: All so far, in order.
    """

    def __init__(self, in_network: Callable[..., list[str]]) -> None:
        """`in_network` is that of the cluster."""
        self.headers: list[Header] = []
        command = in_network(sys.executable, "-I", __file__)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        assert self._process.stdout
        assert self._process.stdout.readline(), "the node's network cannot be captured"
        self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()  # it ends with its input
        self._reader.join()

    def find(self, server: str, client: str, since: int = 0) -> list[Header]:
        """Headers to one mail server that name one client, after the first `since` headers."""
        return [h for h in self.headers[since:] if (h.server, h.client) == (server, client)]

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.headers.append(Header(**json.loads(line)))


def read_packet(packet: bytes) -> Header | None:
    """The header in an IPv4 packet; None in any other packet."""
    if packet[0] >> 4 != 4 or packet[9] != TCP:
        return None
    segment = packet[(packet[0] & 15) * 4 :]
    content = segment[(segment[12] >> 4) * 4 :]
    server, port = socket.inet_ntoa(packet[16:20]), int.from_bytes(segment[2:4], "big")
    if content.startswith(b"PROXY TCP"):
        line = content.split(b"\r\n")[0].decode()
        _, _, client, _, client_port, _ = line.split(" ")
        return Header(server, port, 1, client, int(client_port), line)
    if content.startswith(SIGNATURE) and content[12] == 0x21 and content[13] in LENGTHS:
        length = LENGTHS[content[13]]
        family = socket.AF_INET if length == 4 else socket.AF_INET6
        client = socket.inet_ntop(family, content[16 : 16 + length])
        (client_port,) = struct.unpack_from("!H", content, 16 + 2 * length)
        return Header(server, port, 2, client, client_port, content[: 20 + 2 * length].hex(" "))
    return None


def main() -> None:
    """Print an empty line, then headers until standard input ends."""
    seen: set[Header] = set()  # a packet passes several interfaces
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, ALL_PROTOCOLS) as network:
        network.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        print(flush=True)
        while sys.stdin not in select.select([network, sys.stdin], [], [])[0]:
            header = read_packet(network.recv(SNAP))
            if header and header not in seen:
                seen.add(header)
                print(json.dumps(asdict(header)), flush=True)


if __name__ == "__main__":
    main()
