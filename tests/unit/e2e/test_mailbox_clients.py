"""The mailbox clients against fake servers."""

import socket
import subprocess
from pathlib import Path

import pytest
from tests.e2e.mailbox_clients import Request, run_in_pod, run_session
from tests.unit.e2e.fake_server import HOST, answer, serve, tls_context

POP3 = ["+OK hi\r\n", "+OK\r\nUSER\r\n.\r\n", "+OK\r\n", "+OK\r\n", "+OK 2 300\r\n", "+OK bye\r\n"]
SIEVE = ['"SIEVE" "x"\r\nOK "hi"\r\n', "OK\r\n", '"a" ACTIVE\r\n"b"\r\nOK\r\n', "OK\r\n"]


def _request(protocol: str, port: int, **options: str) -> Request:
    return Request(protocol, HOST, port, "me", "secret", **{"tls": "never", **options})  # type: ignore[arg-type]


def _handle_imap(connection: socket.socket) -> None:
    replies = {
        "CAPABILITY": "* CAPABILITY IMAP4rev1\r\n",
        "EXAMINE": "* 3 EXISTS\r\n",
        "LOGOUT": "* BYE\r\n",
    }
    connection.sendall(b"* OK hi\r\n")
    for line in connection.makefile():
        tag, command = line.split()[:2]
        connection.sendall(f"{replies.get(command, '')}{tag} OK done\r\n".encode())


def test_imap_counts_messages() -> None:
    with serve(_handle_imap) as port:
        session = run_session(_request("imap", port))
    assert (session.error, session.logged_in, session.count) == ("", True, 3)
    assert session.greeting == "* OK hi"


@pytest.mark.parametrize(("protocol", "texts"), [("pop3", POP3), ("sieve", SIEVE)])
def test_pop3_and_sieve_count_messages_and_scripts(protocol: str, texts: list[str]) -> None:
    with serve(answer(*texts)) as port:
        session = run_session(_request(protocol, port))
    assert (session.error, session.logged_in, session.count) == ("", True, 2)


@pytest.mark.parametrize(
    ("protocol", "texts"),
    [
        ("pop3", [*POP3[:3], "-ERR no\r\n"]),
        ("sieve", [SIEVE[0], 'NO "no"\r\n']),
        ("imap", ["* BYE no\r\n"]),
    ],
)
def test_rejection_is_returned_not_raised(protocol: str, texts: list[str]) -> None:
    with serve(answer(*texts)) as port:
        session = run_session(_request(protocol, port))
    assert not session.logged_in
    assert "no" in session.error


def test_refused_connection_is_returned_not_raised() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    assert "ConnectionRefusedError" in run_session(_request("imap", port)).error


@pytest.mark.parametrize(
    ("server_name", "asked"), [("mail.example.com", "mail.example.com"), ("", None)]
)
def test_sni_is_sent_only_with_a_name(tmp_path: Path, server_name: str, asked: str | None) -> None:
    names: list[str | None] = []
    context = tls_context(tmp_path, names)

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            answer(*POP3)(secured)

    with serve(handle) as port:
        session = run_session(_request("pop3", port, tls="implicit", server_name=server_name))
    assert (session.error, names) == ("", [asked])
    assert session.certificate == (tmp_path / "server.crt").read_text()


def test_session_can_be_run_elsewhere() -> None:
    def execute(command: list[str], text: str) -> str:
        return subprocess.run(
            command, input=text, capture_output=True, text=True, check=True
        ).stdout

    with serve(answer(*SIEVE)) as port:
        session = run_in_pod(_request("sieve", port), execute)
    assert (session.error, session.count) == ("", 2)
