"""The attacker against fake servers."""

import select
import socket
import struct
import subprocess
import threading

import pytest
from tests.e2e.attacker import (
    Attack,
    Outcome,
    Plan,
    attack,
    login_commands,
    mailbox_commands,
    relay_commands,
    run_attack,
)
from tests.unit.e2e.fake_server import HOST, answer, serve

RELAY = relay_commands("a@example.com", "b@example.org")


def _attack(port: int, protocol: str = "smtp", **options: object) -> Outcome:
    one = Attack("one", HOST, port, protocol, **options)  # type: ignore[arg-type]
    return run_attack(one, Plan([one], patience=0.2, timeout=5))


def _execute(command: list[str], text: str) -> str:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def test_attack_succeeds_if_all_commands_are_accepted() -> None:
    texts = ["220-wait\r\n", "220 go\r\n"]
    granted = ["250-me\r\n250 you\r\n", "250 Ok\r\n", "250 Ok\r\n", "354 go on\r\n", "250 Ok\r\n"]
    with serve(answer("".join(texts), *granted)) as port:
        outcome = _attack(port, commands=RELAY)
    assert (outcome.greeted, outcome.granted, outcome.succeeded) == (True, 5, True)
    assert outcome.closed == "end"


def test_first_rejection_ends_the_attack() -> None:
    with serve(answer("220 go\r\n", "250 Ok\r\n", "250 Ok\r\n", "554 No\r\n")) as port:
        outcome = _attack(port, commands=RELAY)
    assert (outcome.granted, outcome.succeeded) == (2, False)
    assert outcome.received.endswith("554 No\r\n")


@pytest.mark.parametrize(
    ("protocol", "greeting", "refusal"),
    [
        ("smtp", "220 hi\r\n", "535 5.7.8 no\r\n"),
        ("imap", "* OK hi\r\n", "* CAPABILITY x\r\na1 NO no\r\n"),
        ("pop3", "+OK hi\r\n", "-ERR no\r\n"),
        ("sieve", '"SIEVE" "x"\r\nOK "hi"\r\n', 'NO "no"\r\n'),
    ],
)
def test_each_protocol_has_its_own_rejection(protocol: str, greeting: str, refusal: str) -> None:
    with serve(answer(greeting, refusal)) as port:
        outcome = _attack(port, protocol, commands=login_commands(protocol, "me", "secret"))
    assert (outcome.greeted, outcome.granted, outcome.succeeded) == (True, 0, False)


@pytest.mark.parametrize(
    ("protocol", "greeting", "refusal"),
    [
        ("imap", "* OK hi\r\n", "a1 BAD no\r\n"),
        ("pop3", "+OK hi\r\n", "-ERR no\r\n"),
        ("sieve", 'OK "hi"\r\n', 'NO "no"\r\n'),
    ],
)
def test_mailbox_is_closed_without_a_login(protocol: str, greeting: str, refusal: str) -> None:
    with serve(answer(greeting, refusal)) as port:
        outcome = _attack(port, protocol, commands=mailbox_commands(protocol))
    assert (outcome.granted, outcome.succeeded) == (0, False)


def test_rejection_instead_of_a_greeting_is_no_greeting() -> None:
    with serve(answer("421 4.3.2 No system resources\r\n")) as port:
        outcome = _attack(port, commands=RELAY)
    assert (outcome.greeted, outcome.granted) == (False, 0)


def test_header_is_sent_first() -> None:
    received: list[bytes] = []
    with serve(lambda connection: received.append(connection.recv(100))) as port:
        _attack(port, header=b"PROXY x\r\n".hex(), commands=RELAY)
    assert received == [b"PROXY x\r\n"]


def test_server_that_waits_for_more_sees_the_end() -> None:
    received: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        received.extend(iter(lambda: connection.recv(100), b""))

    with serve(handle) as port:
        outcome = _attack(port, header=b"PRO".hex())
    assert (b"".join(received), outcome.closed, outcome.greeted) == (b"PRO", "end", False)


def test_late_greeting_counts() -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(1)  # the attacker's patience is over
        connection.sendall(b"220 hi\r\n")

    with serve(handle) as port:
        outcome = _attack(port)
    assert (outcome.greeted, outcome.closed) == (True, "end")


def test_together_no_connection_is_closed_before_the_last_is_greeted() -> None:
    kept: list[socket.socket] = []
    left_early: list[socket.socket] = []

    def handle(connection: socket.socket) -> None:
        left_early.extend(select.select(kept, [], [], 0.1)[0])
        connection.sendall(b"220 hi\r\n")
        kept.append(connection.dup())

    with serve(handle) as port:
        attacks = [Attack("one", HOST, port, "smtp")] * 3
        outcomes = attack(Plan(attacks, together=True), _execute)
    for connection in kept:
        connection.close()
    assert [(o.greeted, o.closed) for o in outcomes] == [(True, "self")] * 3
    assert (len(kept), left_early) == (3, [])


def test_reset_differs_from_end() -> None:
    def handle(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serve(handle) as port:
        assert _attack(port).closed == "reset"


def test_server_that_never_ends_is_a_timeout() -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(b"220-wait\r\n")
        while connection.recv(100):
            pass

    with serve(handle) as port:
        one = Attack("one", HOST, port, "smtp")
        assert run_attack(one, Plan([one], timeout=0.3)).closed == "timeout"


def test_closed_port_is_refused() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    assert _attack(port).closed == "refused"


def test_attacker_may_reset_the_connection() -> None:
    was_reset = threading.Event()

    def handle(connection: socket.socket) -> None:
        try:
            while connection.recv(100):
                pass
        except ConnectionResetError:
            was_reset.set()

    with serve(handle) as port:
        assert _attack(port, header="00", reset=True).closed == "self"
        assert was_reset.wait(10)


def test_plan_is_run_elsewhere_in_its_order() -> None:
    with serve(answer("220 hi\r\n")) as port:
        attacks = [Attack(name, HOST, port, "smtp") for name in ("one", "two", "three")]
        outcomes = attack(Plan(attacks, concurrency=2), _execute)
    assert [(o.name, o.port, o.greeted) for o in outcomes] == [
        (name, port, True) for name in ("one", "two", "three")
    ]
