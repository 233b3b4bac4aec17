"""Which failures of clients a reload of Dovecot explains."""

import pytest
from tests.e2e.client_load import FailedSession, is_cut_off
from tests.e2e.server_log import Interval

CLOSED = "*** Remote host closed connection unexpectedly.\n"
CONNECTED = "=== Trying 10.0.0.1:587...\n=== Connected to 10.0.0.1.\n"
GREETED = f"{CONNECTED}<-  220 mail.example.com ESMTP\n -> EHLO client.example.com\n"
STARTED_TLS = f"{GREETED}<-  220 2.0.0 Ready to start TLS\n ~> EHLO client.example.com\n"
LOGGED_IN = f"{STARTED_TLS}<~  235 2.7.0 Authentication successful\n ~> MAIL FROM:<a@example.com>\n"


@pytest.mark.parametrize(
    "error",
    [
        "login: abort: command: LOGIN => socket error: EOF",
        "login: error: b'[UNAVAILABLE] Internal error occurred.'",
        "login: error: b'[AUTHENTICATIONFAILED] Authentication failed.'",
        f"{STARTED_TLS}<~* 454 4.7.0 Temporary authentication failure: (reason unavailable)\n",
        f"{STARTED_TLS}{CLOSED}",
    ],
)
def test_reload_cuts_off_logins(error: str) -> None:
    assert is_cut_off(error)


@pytest.mark.parametrize(
    "error",
    [
        "login: abort: socket error: EOF",
        "login: TimeoutError: timed out",
        "login: ConnectionRefusedError: [Errno 111] Connection refused",
        f"{CONNECTED}{CLOSED}",
        f"{LOGGED_IN}{CLOSED}",
        "=== Trying 10.0.0.1:587...\n*** Error connecting to 10.0.0.1:587:\n",
    ],
)
def test_reload_explains_no_other_error(error: str) -> None:
    assert not is_cut_off(error)


@pytest.mark.parametrize(
    ("began", "ended", "overlaps"),
    [(1, 9, False), (1, 10, True), (11, 12, True), (20, 30, True), (21, 30, False), (1, 30, True)],
)
def test_session_overlaps_a_reload_in_part_or_whole(
    began: float, ended: float, overlaps: bool
) -> None:
    session = FailedSession(began, ended, "")
    assert session.overlaps([Interval(100, 101), Interval(10, 20)]) == overlaps
