"""IMAP, POP3 and ManageSieve clients that log in, count messages or scripts, and log out.

They need nothing but Python's standard library, so that a pod can run this file as it is: a request
on standard input, the session on standard output, both as JSON. See `run_in_pod`.
"""

import imaplib
import json
import poplib
import socket
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

TIMEOUT_SECONDS = 60.0  # for each answer


@dataclass
class Request:
    """Which server, and which client.

    Attributes:
        protocol: `imap`, `pop3` or `sieve`.
        tls: `never`, `starttls` (STLS in POP3) or `implicit`.
        server_name: Sent by SNI; none if empty.
        source: The client's address, if it has several.
        originating_ip: With IMAP, the address of a webmail's user.
        login_delay: With IMAP, seconds between the greeting and the login.
    """

    protocol: str
    address: str
    port: int
    user: str
    password: str
    tls: str = "starttls"
    server_name: str = ""
    source: str = ""
    originating_ip: str = ""
    login_delay: float = 0.0
    timeout: float = TIMEOUT_SECONDS


@dataclass
class Session:
    """What the client received.

    Attributes:
        certificate: PEM of the server's own; empty without TLS. Nothing is verified.
        capabilities: Of the server, before the login.
        logged_in: The server has accepted user and password.
        count: Messages in INBOX, or scripts with ManageSieve; -1 if unknown.
        error: Why the session ended early, if it did.
    """

    greeting: str = ""
    certificate: str = ""
    capabilities: str = ""
    logged_in: bool = False
    count: int = -1
    error: str = ""


def run_session(request: Request) -> Session:
    """Run one session; errors are in its result."""
    session = Session()
    run = {"imap": _run_imap, "pop3": _run_pop3, "sieve": _run_sieve}[request.protocol]
    try:
        with _connect(request, session) as connection:
            run(connection, request, session)
    except (OSError, EOFError, imaplib.IMAP4.error, poplib.error_proto, Refused) as error:
        session.error = f"{type(error).__name__}: {error}"
    return session


def run_in_pod(request: Request, execute: Callable[[list[str], str], str]) -> Session:
    """`run_session` in a pod.

    Args:
        execute: Runs a command with a text as its standard input, and returns its output.
    """
    command = ["python3", "-c", Path(__file__).read_text()]
    return Session(**json.loads(execute(command, json.dumps(asdict(request)))))


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """The server answered NO or BYE."""


def _connect(request: Request, session: Session) -> socket.socket:
    source = (request.source, 0) if request.source else None
    plain = socket.create_connection((request.address, request.port), request.timeout, source)
    if request.tls != "implicit":
        return plain
    try:
        secured = lenient_tls().wrap_socket(plain, server_hostname=_name(request))
    except BaseException:
        plain.close()
        raise
    return _note_certificate(secured, session)


def _name(request: Request) -> str:
    """For Python's TLS, which sends no SNI if the name is an address."""
    return request.server_name or request.address


def lenient_tls() -> ssl.SSLContext:
    """TLS that verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _note_certificate(connection: socket.socket, session: Session) -> socket.socket:
    if isinstance(connection, ssl.SSLSocket) and (der := connection.getpeercert(True)):
        session.certificate = ssl.DER_cert_to_PEM_cert(der)
    return connection


class _Imap(imaplib.IMAP4):
    """On an existing connection."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._given = connection
        super().__init__(name)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:  # noqa: ARG002
        return self._given


class _Pop3(poplib.POP3):
    """On an existing connection."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._given = connection
        super().__init__(name)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:  # noqa: ARG002
        return self._given


def _run_imap(connection: socket.socket, request: Request, session: Session) -> None:
    client = _Imap(connection, _name(request))
    session.greeting = client.welcome.decode(errors="replace")
    if request.tls == "starttls":
        client.starttls(lenient_tls())
    with _note_certificate(client.sock, session):
        session.capabilities = " ".join(client.capabilities)
        if request.originating_ip:
            client.xatom("ID", f'("x-originating-ip" "{request.originating_ip}")')
        time.sleep(request.login_delay)
        client.login(request.user, request.password)
        session.logged_in = True
        result, [answer] = client.select("INBOX", readonly=True)
        if result != "OK" or not answer:
            raise Refused(f"SELECT: {result} {answer!r}")
        session.count = int(answer)
        client.logout()


def _run_pop3(connection: socket.socket, request: Request, session: Session) -> None:
    client = _Pop3(connection, _name(request))
    session.greeting = client.getwelcome().decode(errors="replace")
    if request.tls == "starttls":
        client.stls(lenient_tls())
    with _note_certificate(client.sock, session):
        session.capabilities = " ".join(client.capa())
        client.user(request.user)
        client.pass_(request.password)
        session.logged_in = True
        session.count, _ = client.stat()
        client.quit()


def _run_sieve(connection: socket.socket, request: Request, session: Session) -> None:
    """As in RFC 5804, the server sends capabilities after connecting and again after STARTTLS."""
    client = _Sieve(connection)
    capabilities = client.read_answer()
    session.greeting = capabilities[-1]
    if request.tls == "starttls":
        client.ask("STARTTLS")
        client = _Sieve(lenient_tls().wrap_socket(connection, server_hostname=_name(request)))
        capabilities = client.read_answer()
    with _note_certificate(client.connection, session):
        session.capabilities = " ".join(capabilities[:-1])
        credentials = b64encode(f"\0{request.user}\0{request.password}".encode()).decode()
        client.ask(f'AUTHENTICATE "PLAIN" "{credentials}"')
        session.logged_in = True
        *scripts, _ = client.ask("LISTSCRIPTS")
        session.count = len(scripts)
        client.ask("LOGOUT")


class _Sieve:
    """Commands and answers of ManageSieve, without literals."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._lines = connection.makefile("r", encoding="utf-8", errors="replace", newline="\r\n")

    def ask(self, command: str) -> list[str]:
        """Lines of the answer, the last of which begins with OK.

        Raises:
            Refused: It begins with NO or BYE.
            EOFError: The server closed the connection.
        """
        self.connection.sendall(f"{command}\r\n".encode())
        return self.read_answer()

    def read_answer(self) -> list[str]:
        """As `ask`, without a command."""
        lines: list[str] = []
        while line := self._lines.readline():
            lines.append(line.strip())
            if line.startswith("OK"):
                return lines
            if line.startswith(("NO", "BYE")):
                raise Refused(line.strip())
        raise EOFError("the server closed the connection")


def main() -> None:
    """Run the session of standard input."""
    print(json.dumps(asdict(run_session(Request(**json.load(sys.stdin))))))


if __name__ == "__main__":
    main()
