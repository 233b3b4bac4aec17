"""Attacks a PROXY port: sends a header, none, or garbage, then mail commands.

It needs nothing but Python's standard library, so that a pod can run this file as it is: a `Plan`
on standard input, one `Outcome` in each line of standard output, both as JSON. See `attack`.
"""

import json
import re
import select
import socket
import ssl
import struct
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from threading import Barrier, BrokenBarrierError

CONCURRENCY = 48  # Postfix serves 50 connections of one client at a time
KEPT_CHARACTERS = 4000
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time

# The line that ends a greeting or an answer; the first group matches if it is positive.
_GREETING = {
    "smtp": r"^(?:(220)|\d{3}) .*\n",
    "imap": r"^\* (?:(OK|PREAUTH)|BYE|BAD)\b.*\n",
    "pop3": r"^(?:(\+OK)|-ERR).*\n",
    "sieve": r"^(?:(OK)|NO|BYE).*\n",
}
_ANSWER = _GREETING | {
    "smtp": r"^(?:([23]\d\d)|\d{3}) .*\n",
    "imap": r"^(?:a\d+ (?:(OK)|NO|BAD)|\* BYE|\* BAD)\b.*\n",
}


# How a connection ended, by the first matching exception.
_ENDS: list[tuple[type[Exception], str]] = [
    (EOFError, "end"),
    (ssl.SSLEOFError, "end"),
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "reset"),
    (ssl.SSLError, "tls"),
    (OSError, "unreachable"),
]


@dataclass
class Attack:
    """One connection.

    Attributes:
        protocol: `smtp`, `imap`, `pop3` or `sieve`.
        header: Sent first, in one write; in hex.
        implicit_tls: TLS follows directly after the header.
        commands: Lines that are sent one after the other, until the server rejects one. TLS begins
            after an accepted STARTTLS (STLS).
        reset: Reset the connection as soon as the header is sent.
    """

    name: str
    host: str
    port: int
    protocol: str
    header: str = ""
    implicit_tls: bool = False
    commands: list[str] = field(default_factory=list)
    reset: bool = False


@dataclass
class Plan:
    """Many attacks.

    Attributes:
        patience: Seconds to wait for a greeting before the attacker closes its half of the
            connection: a server that waits for the rest of a header then sees its end.
        timeout: Seconds to wait for each answer.
        together: All connections stay open until the last one is done; needs `concurrency`.
    """

    attacks: list[Attack]
    concurrency: int = CONCURRENCY
    patience: float = 0.5
    timeout: float = 60.0
    together: bool = False


@dataclass
class Outcome:
    """The result of an attack.

    Attributes:
        greeted: The server has greeted: it accepts the header, or expects none.
        granted: How many of the commands the server accepted.
        succeeded: There were commands, and all were accepted.
        received: Everything received, decrypted.
        closed: How it ended: `end` or `reset` by the server, `timeout`, `refused`, `unreachable`,
            `tls` if there was no handshake, `self` if the attacker closed it.
        seconds: From the attempt to connect until the end.
    """

    name: str
    port: int
    greeted: bool = False
    granted: int = 0
    succeeded: bool = False
    received: str = ""
    closed: str = ""
    seconds: float = 0.0


def attack(plan: Plan, execute: Callable[[list[str], str], str]) -> list[Outcome]:
    """Let a pod run a plan; the outcomes are in the order of the plan.

    Args:
        execute: Runs a command with a text as its standard input, and returns its output.
    """
    command = ["python3", "-c", Path(__file__).read_text()]
    output = execute(command, json.dumps(asdict(plan)))
    return [Outcome(**json.loads(line)) for line in output.splitlines()]


def relay_commands(sender: str, recipient: str, *, starttls: bool = False) -> list[str]:
    """Commands that make a server relay mail, if it accepts them."""
    hello = "EHLO evil.example.com"
    greetings = [hello, "STARTTLS", hello] if starttls else [hello]
    message = "Subject: relayed\r\n\r\nrelayed\r\n."
    envelope = [f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"]
    return [*greetings, *envelope, "DATA", message]


def login_commands(protocol: str, user: str, password: str) -> list[str]:
    """Commands that log in without TLS, if the server accepts them."""
    plain = b64encode(f"\0{user}\0{password}".encode()).decode()
    return {
        "smtp": ["EHLO evil.example.com", f"AUTH PLAIN {plain}"],
        "imap": [f"a1 LOGIN {user} {password}"],
        "pop3": [f"USER {user}", f"PASS {password}"],
        "sieve": [f'AUTHENTICATE "PLAIN" "{plain}"'],
    }[protocol]


def mailbox_commands(protocol: str) -> list[str]:
    """A command that needs a login. Dovecot delays the answer to a wrong password, not to this."""
    return {
        "imap": ["a1 SELECT INBOX"],
        "pop3": ["STAT"],
        "sieve": ["LISTSCRIPTS"],
    }[protocol]


def run_attack(one: Attack, plan: Plan, barrier: Barrier | None = None) -> Outcome:
    """One attack, from here; raises nothing.

    Args:
        barrier: At which attacks wait for each other before they close their connections.
    """
    outcome = Outcome(one.name, one.port)
    started = time.monotonic()
    try:
        plain = socket.create_connection((one.host, one.port), plan.timeout)
        with closing(_Conversation(plain, one.protocol, outcome)) as conversation:
            try:
                _converse(conversation, one, plan)
            finally:
                if barrier:
                    with suppress(BrokenBarrierError):
                        barrier.wait(plan.timeout)
        outcome.closed = "self"
    except (OSError, EOFError) as error:
        outcome.closed = next(word for kind, word in _ENDS if isinstance(error, kind))
    outcome.received = outcome.received[:KEPT_CHARACTERS]
    outcome.seconds = round(time.monotonic() - started, 3)
    return outcome


def _converse(conversation: "_Conversation", one: Attack, plan: Plan) -> None:
    """Send and receive; returns when the attacker closes the connection."""
    connection = conversation.connection
    connection.sendall(bytes.fromhex(one.header))
    if one.reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        return
    if one.implicit_tls:
        conversation.begin_tls()
    if one.implicit_tls or select.select([connection], [], [], plan.patience)[0]:
        conversation.send(one.commands)
    if conversation.connection is connection and not plan.together:
        with suppress(OSError):  # a reset may have come before
            connection.shutdown(socket.SHUT_WR)
        if not conversation.outcome.received:  # the greeting may still come
            conversation.send([])
        while True:  # until EOFError
            conversation.receive()


class _Conversation:
    """A mail protocol over a connection; adds to `outcome` what it receives."""

    def __init__(self, connection: socket.socket, protocol: str, outcome: Outcome) -> None:
        self.connection = connection
        self._protocol = protocol
        self.outcome = outcome
        self._unread = ""

    def close(self) -> None:
        self.connection.close()

    def begin_tls(self) -> None:
        """Continue over TLS, without verification."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.connection = context.wrap_socket(self.connection)

    def send(self, commands: Sequence[str]) -> None:
        """Wait for the greeting, then send one command after the other until one is rejected."""
        outcome = self.outcome
        outcome.greeted = self._is_good(_GREETING)
        for command in commands if outcome.greeted else ():
            self.connection.sendall(f"{command}\r\n".encode())
            if not self._is_good(_ANSWER):
                return
            outcome.granted += 1
            outcome.succeeded = outcome.granted == len(commands)
            if command.split()[-1] in ("STARTTLS", "STLS"):
                self.begin_tls()
                if self._protocol == "sieve":  # it greets again (RFC 5804, section 2.2)
                    self._is_good(_GREETING)

    def _is_good(self, patterns: Mapping[str, str]) -> bool:
        """Read a whole greeting or answer, and return whether it is positive."""
        pattern = re.compile(patterns[self._protocol], re.MULTILINE)
        while not (found := pattern.search(self._unread)):
            self.receive()
        self._unread = self._unread[found.end() :]
        return found[1] is not None

    def receive(self) -> None:
        """Wait for more data.

        Raises:
            EOFError: The server has ended the connection.
        """
        content = self.connection.recv(4096)
        if not content:
            raise EOFError
        text = content.decode(errors="backslashreplace")
        self._unread += text
        self.outcome.received += text


def main() -> None:
    """Run the plan on standard input."""
    asked = json.load(sys.stdin)
    plan = Plan(**asked | {"attacks": [Attack(**one) for one in asked["attacks"]]})
    barrier = Barrier(len(plan.attacks)) if plan.together else None
    with ThreadPoolExecutor(plan.concurrency) as threads:
        for outcome in threads.map(partial(run_attack, plan=plan, barrier=barrier), plan.attacks):
            print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
