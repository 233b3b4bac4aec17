"""What an attacker does who reaches a PROXY port: a header, none, or garbage, then mail commands.

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

# The line that ends a greeting or an answer; the first group is there when it is a good one.
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


# How a connection ended, by the first kind of exception that fits.
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
        header: What is sent first of all, in hex, in one write.
        implicit_tls: TLS follows right behind the header.
        commands: Lines that are said one after the other, until the server refuses one. After a
            STARTTLS (STLS) that is granted, TLS begins.
        reset: End with a RST as soon as the header is sent.
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
        patience: Seconds for which a silent server may think about a header, until the attacker
            closes his half: a server that still waits for the rest of it then sees that none comes.
        timeout: Seconds after which a server that says nothing is given up.
        together: Nobody hangs up before all have come as far as they can; needs `concurrency`.
    """

    attacks: list[Attack]
    concurrency: int = CONCURRENCY
    patience: float = 0.5
    timeout: float = 15.0
    together: bool = False


@dataclass
class Outcome:
    """What came of an attack.

    Attributes:
        greeted: The server has greeted: it believes the header, or wants none.
        granted: How many of the commands were granted, one after the other.
        succeeded: There were commands, and all of them were granted.
        received: All that came, in the end without TLS.
        closed: How it ended: `end` or `reset` by the server, `timeout`, `refused`, `unreachable`,
            `tls` when none came about, `self` when it was the attacker who hung up.
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
    """Let a pod carry out a plan; the outcomes are in the plan's order.

    Args:
        execute: Runs a command with a text as its standard input, and returns its output.
    """
    command = ["python3", "-c", Path(__file__).read_text()]
    output = execute(command, json.dumps(asdict(plan)))
    return [Outcome(**json.loads(line)) for line in output.splitlines()]


def relay_commands(sender: str, recipient: str, *, starttls: bool = False) -> list[str]:
    """Commands that make a server relay mail, if it lets them."""
    hello = "EHLO evil.example.com"
    greetings = [hello, "STARTTLS", hello] if starttls else [hello]
    message = "Subject: relayed\r\n\r\nrelayed\r\n."
    envelope = [f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"]
    return [*greetings, *envelope, "DATA", message]


def login_commands(protocol: str, user: str, password: str) -> list[str]:
    """Commands that log in without TLS, if the server lets them."""
    plain = b64encode(f"\0{user}\0{password}".encode()).decode()
    return {
        "smtp": ["EHLO evil.example.com", f"AUTH PLAIN {plain}"],
        "imap": [f"a1 LOGIN {user} {password}"],
        "pop3": [f"USER {user}", f"PASS {password}"],
        "sieve": [f'AUTHENTICATE "PLAIN" "{plain}"'],
    }[protocol]


def mailbox_commands(protocol: str) -> list[str]:
    """A command for those who have logged in. Dovecot lets a wrong password wait, but not this."""
    return {
        "imap": ["a1 SELECT INBOX"],
        "pop3": ["STAT"],
        "sieve": ["LISTSCRIPTS"],
    }[protocol]


def carry_out(one: Attack, plan: Plan, meeting: Barrier | None = None) -> Outcome:
    """One attack, from here; nothing is raised.

    Args:
        meeting: Of all those who do not hang up before the last one is there.
    """
    outcome = Outcome(one.name, one.port)
    started = time.monotonic()
    try:
        plain = socket.create_connection((one.host, one.port), plan.timeout)
        with closing(_Conversation(plain, one.protocol, outcome)) as conversation:
            try:
                _play(conversation, one, plan)
            finally:
                if meeting:
                    with suppress(BrokenBarrierError):
                        meeting.wait(plan.timeout)
        outcome.closed = "self"
    except (OSError, EOFError) as error:
        outcome.closed = next(word for kind, word in _ENDS if isinstance(error, kind))
    outcome.received = outcome.received[:KEPT_CHARACTERS]
    outcome.seconds = round(time.monotonic() - started, 3)
    return outcome


def _play(conversation: "_Conversation", one: Attack, plan: Plan) -> None:
    """What goes over the connection; returns when the attacker hangs up."""
    connection = conversation.connection
    connection.sendall(bytes.fromhex(one.header))
    if one.reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        return
    if one.implicit_tls:
        conversation.begin_tls()
    if one.implicit_tls or select.select([connection], [], [], plan.patience)[0]:
        conversation.speak(one.commands)
    if conversation.connection is connection and not plan.together:
        with suppress(OSError):  # a reset may have come before
            connection.shutdown(socket.SHUT_WR)
        if not conversation.outcome.received:  # the greeting may still come
            conversation.speak([])
        while True:  # until EOFError
            conversation.receive()


class _Conversation:
    """Text of a mail protocol over a connection; all that comes is noted in `outcome`."""

    def __init__(self, connection: socket.socket, protocol: str, outcome: Outcome) -> None:
        self.connection = connection
        self._protocol = protocol
        self.outcome = outcome
        self._unread = ""

    def close(self) -> None:
        self.connection.close()

    def begin_tls(self) -> None:
        """Continue over TLS, whoever the server is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.connection = context.wrap_socket(self.connection)

    def speak(self, commands: Sequence[str]) -> None:
        """Wait for the greeting, then say one command after the other until one is refused."""
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
                if self._protocol == "sieve":  # greets once more (RFC 5804, section 2.2)
                    self._is_good(_GREETING)

    def _is_good(self, patterns: Mapping[str, str]) -> bool:
        """Read to the end of a greeting or an answer, and say which kind it is."""
        pattern = re.compile(patterns[self._protocol], re.MULTILINE)
        while not (found := pattern.search(self._unread)):
            self.receive()
        self._unread = self._unread[found.end() :]
        return found[1] is not None

    def receive(self) -> None:
        """Wait for more.

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
    """Carry out the plan on standard input."""
    asked = json.load(sys.stdin)
    plan = Plan(**asked | {"attacks": [Attack(**one) for one in asked["attacks"]]})
    meeting = Barrier(len(plan.attacks)) if plan.together else None
    with ThreadPoolExecutor(plan.concurrency) as threads:
        for outcome in threads.map(partial(carry_out, plan=plan, meeting=meeting), plan.attacks):
            print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
