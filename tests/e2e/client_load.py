"""A steady load of clients: logins and deliveries through the edge's Service, one by one."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from imaplib import IMAP4
from typing import Self

from tests.cluster.scene import Scene
from tests.cluster.workloads import PASSWORD, find_mailbox
from tests.e2e.mailbox_clients import lenient_tls
from tests.e2e.replacement import CLIENT_SECONDS, log_in
from tests.e2e.server_log import Interval
from tests.e2e.smtp_client import Tls, deliver

LOGIN_PAUSE, DELIVERY_PAUSE = 0.2, 0.5  # more would slow the server down
LOGIN_DELAY = 0.2  # between connecting and login, as TLS takes clients that are far away

# How a login fails that Dovecot is handling while it is reloaded, by IMAP and by SMTP.
_CUT_OFF = (
    "command: LOGIN => socket error: EOF",
    "* BYE ",
    "[UNAVAILABLE] ",
    "[AUTHENTICATIONFAILED] ",
    "454 4.7.0 Temporary authentication failure",
)
_CLOSED, _GREETED, _LOGGED_IN = "Remote host closed connection", "<-  220 ", "<~  235 "


@dataclass(frozen=True)
class FailedSession:
    """A login or delivery that failed; times are seconds since 1970."""

    began: float
    ended: float
    error: str

    def overlaps(self, intervals: Sequence[Interval]) -> bool:
        """Whether it took place, in part, within one of these."""
        return any(self.began <= i.end and i.start <= self.ended for i in intervals)


def is_cut_off(error: str) -> bool:
    """Whether a session ended at the login, as it may if Dovecot is reloaded.

    An smtpd that cannot ask Dovecot for its mechanisms ends, after STARTTLS, and so the connection.
    """
    is_closed = _CLOSED in error and _GREETED in error and _LOGGED_IN not in error
    return is_closed or any(words in error for words in _CUT_OFF)


class ClientLoad:
    """A client that logs in by IMAP and one that sends mail, both in a loop; a context manager.

    Attributes:
        logins, deliveries: How many succeeded.
        failures: Those that did not.
    """

    def __init__(self, scene: Scene) -> None:
        self.logins = self.deliveries = 0
        self.failures: list[FailedSession] = []
        self._address = scene.addresses[0]
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(run, pause), daemon=True)
            for run, pause in ((self._log_in, LOGIN_PAUSE), (self._deliver, DELIVERY_PAUSE))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def find_cut_off(self, reloads: Sequence[Interval]) -> list[FailedSession]:
        """Failures that a reload of Dovecot explains."""
        return [f for f in self.failures if is_cut_off(f.error) and f.overlaps(reloads)]

    def _repeat(self, run: Callable[[], str], pause: float) -> None:
        while not self._stop.wait(pause):
            began = time.time()
            if error := run():
                self.failures.append(FailedSession(began, time.time(), error))

    def _log_in(self) -> str:
        error = log_in(self._address, 143, LOGIN_DELAY)
        self.logins += not error
        return error and f"login: {error}"

    def _deliver(self) -> str:
        user = find_mailbox("submission")
        sent = deliver(
            self._address,
            587,
            sender=user,
            recipient=user,
            tls=Tls.STARTTLS,
            login=(user, PASSWORD),
            timeout=CLIENT_SECONDS,
        )
        self.deliveries += sent.accepted
        return "" if sent.accepted else f"delivery: {sent.transcript}"


class IdleSession:
    """An IMAP session in IDLE through a certain pod of the edge; a context manager."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._port = address, port
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        client = IMAP4(self._address, self._port, CLIENT_SECONDS)
        self._client = self._stack.enter_context(client)
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
