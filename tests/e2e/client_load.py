"""A steady load of clients: logins and deliveries through the edge's Service, one by one."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from imaplib import IMAP4
from typing import Self

from tests.cluster.scene import Scene
from tests.cluster.workloads import PASSWORD, find_mailbox
from tests.e2e.mailbox_clients import lenient_tls
from tests.e2e.replacement import log_in
from tests.e2e.smtp_client import Tls, deliver

LOGIN_PAUSE, DELIVERY_PAUSE = 0.2, 0.5  # more would slow the server down
LOGIN_DELAY = 0.2  # between connecting and login, as TLS takes clients that are far away

# What Dovecot answers clients, and Postfix, whose password it is checking during a reload.
CUT_OFF = (
    "=> socket error: EOF",
    "* BYE ",
    "[UNAVAILABLE] ",
    "[AUTHENTICATIONFAILED] ",  # 2.3, if it notices too late that the checking process is gone
    "454 4.7.0 Temporary authentication failure",
)


class ClientLoad:
    """A client that logs in by IMAP and one that sends mail, both in a loop; a context manager.

    Attributes:
        logins, deliveries: How many succeeded.
        cut_off: Messages of logins, of both, that Dovecot aborted, as it does if it is checking the
            password while it is reloaded.
        failures: All other errors.
    """

    def __init__(self, scene: Scene) -> None:
        self.logins = self.deliveries = 0
        self.cut_off: list[str] = []
        self.failures: list[str] = []
        self._address = scene.addresses[0]
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(act, pause), daemon=True)
            for act, pause in ((self._log_in, LOGIN_PAUSE), (self._deliver, DELIVERY_PAUSE))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, act: Callable[[], str], pause: float) -> None:
        while not self._stop.wait(pause):
            failure = act()
            if any(words in failure for words in CUT_OFF):
                self.cut_off.append(failure)
            elif failure:
                self.failures.append(failure)

    def _log_in(self) -> str:
        failure = log_in(self._address, 143, LOGIN_DELAY)
        self.logins += not failure
        return failure and f"login: {failure}"

    def _deliver(self) -> str:
        user = find_mailbox("submission")
        sent = deliver(
            self._address,
            587,
            sender=user,
            recipient=user,
            tls=Tls.STARTTLS,
            login=(user, PASSWORD),
        )
        self.deliveries += sent.accepted
        return "" if sent.accepted else f"delivery: {sent.transcript[-500:]}"


class IdleSession:
    """An IMAP session in IDLE through a certain pod of the edge; a context manager."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._port = address, port
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._client = self._stack.enter_context(IMAP4(self._address, self._port, 10))
        self._client.starttls(lenient_tls())
        self._client.login(find_mailbox("imap"), PASSWORD)
        self._client.select("INBOX", readonly=True)
        self._send("i1 IDLE", "+")
        return self

    def __exit__(self, *error: object) -> None:
        self._client.sock.close()

    def is_alive(self) -> bool:
        """End IDLE and send another command: whether the server answers."""
        self._send("DONE", "i1 OK")
        return self._client.noop()[0] == "OK"

    def _send(self, line: str, answer: str) -> None:
        self._client.send(f"{line}\r\n".encode())
        while not (received := self._client.readline().decode()).startswith(answer):
            assert received, f"the server closed the connection after {line}"
