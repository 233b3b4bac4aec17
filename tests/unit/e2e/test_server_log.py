"""Reading the log of a mail server, with lines of Postfix 3.7, Dovecot 2.3 and 2.4."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from tests.cluster.container_log import Line
from tests.e2e.server_log import (
    Interval,
    count_reloads,
    find_clients,
    find_crashes,
    find_failed_logins,
    find_header_crashes,
    find_logins,
    find_reloads,
    find_sent,
    find_smtpd_connects,
    find_untrusted_peers,
    syslog_name,
)

from mailproxy.api.mail_services import MAIL_SERVICES, Listeners, MailService, PortName

SEPARATE = """\
Nov 22 23:10:54 mail postfix-proxy/postscreen[184]: CONNECT from [10.98.0.5]:47210 to [10.98.0.1]:25
Nov 22 23:10:55 mail postfix/postscreen[184]: CONNECT from [10.99.0.30]:4721 to [10.99.0.10]:25
Nov 22 23:11:00 mail postfix-proxy/smtpd[190]: connect from unknown[10.98.0.5]
Nov 22 23:11:00 mail postfix/smtpd[191]: connect from web.example.com[10.99.0.30]
Nov 22 23:11:00 mail postfix/submissionproxy/smtpd[196]: A4EDFA90476: client=unknown[10.98.0.6], \
sasl_method=PLAIN, sasl_username=you@example.com
Nov 22 23:11:10 mail postfix/submissionsproxy/smtpd[197]: 8410FA909C0: client=unknown[fd98::5], \
sasl_method=PLAIN, sasl_username=you@example.com
Nov 22 23:11:11 mail postfix/lmtp[198]: 8410FA909C0: to=<you@example.com>, \
relay=mail.example.com[/run/dovecot/lmtp], delay=0.1, dsn=2.0.0, status=sent (250 2.0.0 Saved)
"""
SHARED = """\
Nov 22 23:10:54 mail postfix/postscreen[184]: CONNECT from [fd98::5]:47210 to [fd98::1]:25
Nov 22 23:11:10 mail postfix/submission/smtpd[197]: 8410FA909C0: client=unknown[10.98.0.6], \
sasl_method=PLAIN, sasl_username=you@example.com
"""
DOVECOT_23 = """\
Nov 22 23:11:01 imap-login: Info: Login: user=<you@example.com>, method=PLAIN, rip=10.98.0.5, \
lip=10.98.0.1, mpid=199, TLS, session=<pew/l+VgRtYKYgAF>
Nov 22 23:11:02 mail dovecot: pop3-login: Login: user=<me@example.com>, method=PLAIN, rip=fd98::5, \
lip=fd98::1, mpid=203, TLS, session=<Vm1Ll+VgMr0KYgAF>
Nov 22 23:11:03 managesieve-login: Info: Disconnected: Connection closed (no auth attempts in 0 \
secs): user=<>, rip=10.99.0.20, lip=10.99.0.10, session=<ZXq2pOVgWLwKYwAU>
Nov 22 23:11:04 imap-login: Warning: haproxy: Client not trusted (rip=10.97.0.66)
"""
DOVECOT_24 = """\
Nov 22 23:11:01 imap-login: Info: Logged in: user=<you@example.com>, method=PLAIN, rip=10.98.0.5, \
lip=10.98.0.1, mpid=257, TLS, session=<pew/l+VgRtYKYgAF>
Nov 22 23:11:02 mail dovecot: pop3-login: Logged in: user=<me@example.com>, method=PLAIN, \
rip=fd98::5, lip=fd98::1, mpid=261, TLS, session=<Vm1Ll+VgMr0KYgAF>
Nov 22 23:11:03 managesieve-login: Info: Login aborted: Connection closed (no auth attempts in 0 \
secs) (no_auth_attempts): user=<>, rip=10.99.0.20, lip=10.99.0.10, session=<ZXq2pOVgWLwKYwAU>
Nov 22 23:11:04 imap-login: Warning: haproxy: Client not trusted (rip=10.97.0.66)
"""
PANIC = """\
imap-login: Panic: file master-service-haproxy.c: line 488 (master_service_haproxy_read): \
assertion failed: (strcmp(*fields, "PROXY") == 0)
imap-login: Fatal: master: service(imap-login): child 518 killed with signal 6 (core dumps disabled)
"""
FATAL = """\
postfix-proxy/smtpd[186]: fatal: bad IPv4 client address syntax from proxy: 0.0.2.7
postfix/master[1]: warning: process /usr/sbin/smtpd pid 186 exit status 1
postfix/master[1]: warning: /usr/sbin/smtpd: bad command startup -- throttling
"""


SIGHUP = "2026-11-28T07:13:{}+00:00 mail dovecot: master: Warning: SIGHUP received - reloading"
RELOADED = "mailproxy: trusted proxies added: 10.0.0.1; Dovecot has reloaded"
MINUTE = datetime(2026, 11, 28, 7, 13, tzinfo=UTC).timestamp()


def _service(name: str) -> MailService:
    return next(service for service in MAIL_SERVICES if service.name == PortName(name))


@pytest.mark.parametrize(
    ("name", "listeners", "log", "clients"),
    [
        ("smtp", Listeners.SEPARATE, SEPARATE, ["10.98.0.5"]),
        ("submission", Listeners.SEPARATE, SEPARATE, ["10.98.0.6"]),
        ("submissions", Listeners.SEPARATE, SEPARATE, ["fd98::5"]),
        ("smtp", Listeners.SHARED, SHARED, ["fd98::5"]),
        ("submission", Listeners.SHARED, SHARED, ["10.98.0.6"]),
        ("submissions", Listeners.SHARED, SHARED, []),
        ("imap", Listeners.SEPARATE, DOVECOT_23, ["10.98.0.5"]),
        ("imaps", Listeners.SEPARATE, DOVECOT_24, ["10.98.0.5"]),
        ("pop3", Listeners.SHARED, DOVECOT_23, ["fd98::5"]),
        ("pop3s", Listeners.SHARED, DOVECOT_24, ["fd98::5"]),
        ("sieve", Listeners.SHARED, DOVECOT_24, []),
    ],
)
def test_clients_of_a_service_are_those_that_its_daemon_logged(
    name: str, listeners: Listeners, log: str, clients: list[str]
) -> None:
    found = find_clients(log, _service(name), listeners)
    assert [str(logged.address) for logged in found] == clients


def test_client_has_its_line() -> None:
    [found] = find_clients(SEPARATE, _service("smtp"), Listeners.SEPARATE)
    assert found.line == SEPARATE.splitlines()[0]


def test_ipv4_mapped_address_is_an_ipv4_address() -> None:
    [found] = find_logins(DOVECOT_23.replace("10.98.0.5", "::ffff:10.98.0.5"), "imap-login")
    assert found.address == ip_address("10.98.0.5")


@pytest.mark.parametrize("log", [DOVECOT_23, DOVECOT_24])
def test_logins_can_be_filtered_by_user(log: str) -> None:
    assert len(find_logins(log, "imap-login", "you@example.com")) == 1
    assert find_logins(log, "imap-login", "me@example.com") == []


@pytest.mark.parametrize("log", [DOVECOT_23, DOVECOT_24])
def test_session_without_a_login_is_a_failed_login(log: str) -> None:
    [found] = find_failed_logins(log, "managesieve-login")
    assert str(found.address) == "10.99.0.20"


@pytest.mark.parametrize("log", [DOVECOT_23, DOVECOT_24])
def test_untrusted_peers_are_found(log: str) -> None:
    assert [str(found.address) for found in find_untrusted_peers(log)] == ["10.97.0.66"]


def test_plain_port_25_is_not_a_port_of_the_edge() -> None:
    assert [str(found.address) for found in find_smtpd_connects(SEPARATE, "postfix")] == [
        "10.99.0.30"
    ]


def test_delivery_attempt_is_found() -> None:
    [sent] = find_sent(SEPARATE)
    assert (sent.queue_id, sent.recipient, sent.relay, sent.status) == (
        "8410FA909C0",
        "you@example.com",
        "mail.example.com[/run/dovecot/lmtp]",
        "sent",
    )


@pytest.mark.parametrize(
    "line",
    [
        "postfix/smtpd[9]: fatal: smtpd_peer_hostaddr_to_sockaddr: cannot convert client address",
        "postfix/master[9]: warning: process /usr/lib/postfix/sbin/smtpd pid 9 killed by signal 11",
        "postfix/master[9]: warning: /usr/sbin/smtpd: bad command startup -- throttling",
        "imap-login: Panic: file client.c: line 1: assertion failed: (x)",
        "imap-login: Fatal: master: service(imap-login): child 5 killed with signal 11 (x)",
    ],
)
def test_crash_is_found(line: str) -> None:
    assert find_crashes(f"{SEPARATE}{DOVECOT_24}{line}\n") == [line]


@pytest.mark.parametrize(
    ("known", "other"),
    [
        (PANIC, "imap-login: Fatal: master: service(imap-login): child 9 killed with signal 6 (x)"),
        (FATAL, "postfix/master[7]: warning: /usr/sbin/smtpd: bad command startup -- throttling"),
    ],
)
def test_known_crashes_by_headers_are_separate_from_others(known: str, other: str) -> None:
    assert find_crashes(f"{known}{other}\n") == [other]
    assert find_header_crashes(f"{known}{other}\n") == known.splitlines()[:1]


@pytest.mark.parametrize(
    ("name", "listeners", "expected"),
    [
        ("smtp", Listeners.SEPARATE, "postfix-proxy"),
        ("submissions", Listeners.SEPARATE, "postfix/submissionsproxy"),
        ("smtp", Listeners.SHARED, "postfix"),
        ("submission", Listeners.SHARED, "postfix/submission"),
    ],
)
def test_postfix_logs_under_the_names_of_our_templates(
    name: str, listeners: Listeners, expected: str
) -> None:
    assert syslog_name(_service(name), listeners) == expected


def test_reload_lasts_from_dovecots_own_time_until_the_line_of_the_watcher() -> None:
    lines = [
        Line(MINUTE + 10.5, RELOADED),
        Line(MINUTE + 11.0, SIGHUP.format("10.250000")),  # late, as lines of syslog are
        Line(MINUTE + 12.0, SIGHUP.format("11.500000")),
        Line(MINUTE + 12.5, RELOADED),
    ]
    assert find_reloads(lines) == [
        Interval(MINUTE + 10.25, MINUTE + 10.5),
        Interval(MINUTE + 11.5, MINUTE + 12.5),
    ]


def test_reload_whose_begin_is_not_in_the_log_yet_is_left_out() -> None:
    lines = [
        Line(MINUTE + 11.0, SIGHUP.format("10.250000")),
        Line(MINUTE + 10.5, RELOADED),
        Line(MINUTE + 12.5, RELOADED),
    ]
    assert len(find_reloads(lines)) == 1
    assert count_reloads(lines) == 2
