"""The command line for swaks, and how its output is parsed."""

from collections.abc import Sequence

import pytest
from tests.e2e.smtp_client import Tls, deliver, read_transcript

ACCEPTED = """\
=== Trying fd98::1:465...
=== TLS peer DN="/CN=mail.example.com"
=== -----BEGIN CERTIFICATE-----
=== MIIBqTCCAU6gAwIBAgIUOHHwUMBH
=== -----END CERTIFICATE-----
<~  220 mail.example.com ESMTP Postfix
 ~> EHLO client.example.com
<~  250-mail.example.com
<~  250 CHUNKING
 ~> DATA
<~  354 End data with <CR><LF>.<CR><LF>
 ~> .
<~  250 2.0.0 Ok: queued as 4163AA909C5
 ~> QUIT
<~  221 2.0.0 Bye
"""
REFUSED = """\
<-  220 mail.example.com ESMTP Postfix
 -> RCPT TO:<you@else.org>
<** 554 5.7.1 <you@else.org>: Relay access denied
 -> QUIT
<-  221 2.0.0 Bye
"""


def test_accepted_message_has_a_queue_id() -> None:
    delivery = read_transcript(ACCEPTED)
    assert (delivery.accepted, delivery.code) == (True, 250)
    assert delivery.queue_id == "4163AA909C5"


def test_certificate_is_pem() -> None:
    assert read_transcript(ACCEPTED).certificate == (
        "-----BEGIN CERTIFICATE-----\nMIIBqTCCAU6gAwIBAgIUOHHwUMBH\n-----END CERTIFICATE-----\n"
    )


@pytest.mark.parametrize("transcript", [REFUSED, REFUSED.replace("<**", "<~*")])
def test_rejection_counts_more_than_the_last_reply(transcript: str) -> None:
    delivery = read_transcript(transcript)
    assert (delivery.accepted, delivery.code) == (False, 554)
    assert delivery.reply == "5.7.1 <you@else.org>: Relay access denied"


def test_no_connection_is_no_code() -> None:
    delivery = read_transcript("=== Trying 10.98.0.1:26...\n*** Error connecting\n")
    assert (delivery.accepted, delivery.code, delivery.reply) == (False, 0, "")


def test_command_has_family_name_and_login() -> None:
    asked: list[str] = []

    def run(command: Sequence[str]) -> str:
        asked.extend(command)
        return ACCEPTED

    deliver(
        "fd98::1",
        465,
        sender="me@client.example.com",
        recipient="you@example.com",
        tls=Tls.IMPLICIT,
        server_name="mail.example.com",
        login=("you", "secret"),
        source="fd98::5",
        run=run,
    )
    assert asked[:2] == ["swaks", "-6"]
    assert asked[asked.index("--tls-sni") + 1] == "mail.example.com"
    assert asked[asked.index("--local-interface") + 1] == "fd98::5"
    assert "--tls-on-connect" in asked and asked[-6:] == [
        *("--auth", "PLAIN", "--auth-user", "you", "--auth-password", "secret")
    ]
