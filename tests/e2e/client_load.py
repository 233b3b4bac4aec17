"""Clients that never stop: logins and deliveries through the edge's own addresses, one by one."""

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

LOGIN_PAUSE, DELIVERY_PAUSE = 0.2, 0.5  # a server that is busy with clients alone follows late
THINKING = 0.2  # as clients that are far away need for TLS: they are between connecting and login

# What Dovecot says, or not, to clients whose password it is checking; and to Postfix.
CUT_OFF = (
    "=> socket error: EOF",
    "* BYE ",
    "[UNAVAILABLE] ",
    "[AUTHENTICATIONFAILED] ",  # 2.3, if it notices too late that the checking process is gone
    "454 4.7.0 Temporary authentication failure",
)


class Crowd:
    """One client that logs in by IMAP and one that sends mail, again and again; a context manager.

    Attributes:
        logins, deliveries: How many succeeded.
        cut_off: Logins, of both, that Dovecot itself broke off, in words, as it does with the few
            whose password it is checking just when it is reloaded.
        failures: What else went wrong.
    """

    def __init__(self, scene: Scene) -> None:
        self.logins = self.deliveries = 0
        self.cut_off: list[str] = []
        self.failures: list[str] = []
        self._address = scene.addresses[0]
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(act, pause), daemon=True)
            for act, pause in ((self._log_in, LOGIN_PAUSE), (self._deliver, DELIVERY_PAUSE))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, act: Callable[[], str], pause: float) -> None:
        while not self._over.wait(pause):
            failure = act()
            if any(words in failure for words in CUT_OFF):
                self.cut_off.append(failure)
            elif failure:
                self.failures.append(failure)

    def _log_in(self) -> str:
        failure = log_in(self._address, 143, THINKING)
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


class Idler:
    """An IMAP client that has logged in through one certain pod, and waits; a context manager."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._port = address, port
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._client = self._stack.enter_context(IMAP4(self._address, self._port, 10))
        self._client.starttls(lenient_tls())
        self._client.login(find_mailbox("imap"), PASSWORD)
        self._client.select("INBOX", readonly=True)
        self._say("i1 IDLE", "+")
        return self

    def __exit__(self, *error: object) -> None:
        self._client.sock.close()

    def is_alive(self) -> bool:
        """End the IDLE and ask for something else: the server must answer."""
        self._say("DONE", "i1 OK")
        return self._client.noop()[0] == "OK"

    def _say(self, line: str, answer: str) -> None:
        self._client.send(f"{line}\r\n".encode())
        while not (heard := self._client.readline().decode()).startswith(answer):
            assert heard, f"the server hung up after {line}"
