"""Finds clients, deliveries and crashes in the mail server's log.

All functions take the text of a log, with any prefix before the program's name in each line, and
return what they find in the order of the lines.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from mailproxy.api.mail_services import Daemon, Listeners, MailService, PortName
from tests.cluster.container_log import Line

Address = IPv4Address | IPv6Address

_RELOADED = re.compile(r"^mailproxy: .*Dovecot has reloaded$")

# Lines about a program that died, or that Postfix does not start again for a while.
_CRASH = re.compile(
    r"(?:fatal|panic): |Panic: |Fatal: |killed (?:with|by) signal|throttling|bad command startup"
)
# Known crashes by invalid headers, each with a possible consequence. They need access to a PROXY
# port of Postfix, or an address that Dovecot trusts; clients of an edge cannot cause them.
_HEADER_CRASHES = (
    # Dovecot 2.3.19 and 2.4.1, by a v1 header whose first word is longer than PROXY. A login
    # process dies; by default it serves one client alone.
    (
        re.compile(r'assertion failed: \(strcmp\(\*fields, "PROXY"\)'),
        re.compile(r"-login\): child \d+ killed with signal 6"),
    ),
    # Dovecot 2.3.19, by a random v2 header; most likely one with a TLV without content.
    (
        re.compile(r"-login: Panic: Trying to allocate 0 bytes"),
        re.compile(r"-login\): child \d+ killed with signal 6"),
    ),
    # Postfix 3.7 and 3.10, by a v2 header with an address such as 0.0.2.7: postscreen takes it, the
    # smtpd behind it dies. If it had served nobody yet, none is started for a minute.
    (
        re.compile(r"fatal: bad IPv[46] (?:client|server) address syntax from proxy"),
        re.compile(r"smtpd: bad command startup -- throttling"),
    ),
)


@dataclass(frozen=True)
class LoggedClient:
    """A client's address as a service logged it, with the line."""

    address: Address
    line: str


@dataclass(frozen=True)
class Interval:
    """From one moment to another, in seconds since 1970."""

    start: float
    end: float


@dataclass(frozen=True)
class Sent:
    """One attempt of Postfix to pass a message on."""

    queue_id: str
    recipient: str
    relay: str
    status: str
    line: str


def find_clients(log: str, service: MailService, listeners: Listeners) -> list[LoggedClient]:
    """Clients that reached a mail service through the edge.

    On port 25 those that connected to postscreen; on the submission ports those that sent mail or
    logged in; of Dovecot's services those that logged in.
    """
    if service.daemon == Daemon.POSTSCREEN:
        return find_postscreen_clients(log, syslog_name(service, listeners))
    if service.daemon == Daemon.SMTPD:
        return find_smtpd_clients(log, syslog_name(service, listeners))
    return find_logins(log, service.daemon)


def syslog_name(service: MailService, listeners: Listeners) -> str:
    """Name in Postfix's log for connections through the edge, without that of the daemon.

    Source: the templates of `mailproxy.plan`, and docker-mailserver's `master.cf`.
    """
    if service.name == PortName.SMTP:
        return "postfix-proxy" if listeners == Listeners.SEPARATE else "postfix"
    return f"postfix/{service.name}{'proxy' if listeners == Listeners.SEPARATE else ''}"


def find_postscreen_clients(log: str, name: str) -> list[LoggedClient]:
    """Clients of postscreen: `<name>/postscreen[1]: CONNECT from [192.0.2.7]:4000 to ...`."""
    return _find(log, rf"\b{re.escape(name)}/postscreen\[\d+\]: CONNECT from \[([^]]+)\]:\d+ to ")


def find_smtpd_clients(log: str, name: str) -> list[LoggedClient]:
    """Clients that sent mail: `<name>/smtpd[1]: 4F2A: client=host[192.0.2.7], sasl_...`."""
    return _find(log, rf"\b{re.escape(name)}/smtpd\[\d+\]: \w+: client=[^[]*\[([^]]+)\]")


def find_smtpd_connects(log: str, name: str) -> list[LoggedClient]:
    """Clients that connected to smtpd: `<name>/smtpd[1]: connect from host[192.0.2.7]`."""
    return _find(log, rf"\b{re.escape(name)}/smtpd\[\d+\]: connect from [^[]*\[([^]]+)\]")


def find_logins(log: str, daemon: str, user: str = "") -> list[LoggedClient]:
    """Clients that logged in to a service of Dovecot such as `imap-login`, as any user or one.

    2.3 says `Login: user=<me>, ... rip=192.0.2.7`, 2.4 `Logged in: user=<me>, ...`.
    """
    whom = re.escape(user) if user else "[^>]+"
    words = "(?:Login|Logged in)"
    return _find(log, rf"\b{daemon}: (?:Info: )?{words}: user=<{whom}>.*?\brip=([^,\s]+)")


def find_failed_logins(log: str, daemon: str) -> list[LoggedClient]:
    """Clients whose session ended before a login.

    2.3 says `Disconnected: ... rip=192.0.2.7` or `Aborted login: ...`, 2.4 `Login aborted: ...`.
    """
    words = "(?:Disconnected|Aborted login|Login aborted)"
    return _find(log, rf"\b{daemon}: (?:Info: )?{words}.*?\brip=([^,\s]+)")


def find_reloads(lines: Sequence[Line]) -> list[Interval]:
    """Reloads of Dovecot, from its own line to the one of the watcher.

    Lines of syslog arrive late in the container's log, and begin with their own time.
    """
    starts = [_read_time(line.text) for line in lines if "SIGHUP received - reload" in line.text]
    ends = [line.time for line in lines if _RELOADED.search(line.text)]
    found: dict[float, float] = {}
    for end in sorted(ends):
        if before := [start for start in starts if start <= end]:
            found.setdefault(max(before), end)
    return [Interval(start, end) for start, end in found.items()]


def count_reloads(lines: Sequence[Line]) -> int:
    """How often the watcher has logged that Dovecot has reloaded."""
    return sum(bool(_RELOADED.search(line.text)) for line in lines)


def find_untrusted_peers(log: str) -> list[LoggedClient]:
    """Peers whose header Dovecot rejected: `haproxy: Client not trusted (rip=10.0.0.9)`."""
    return _find(log, r"haproxy: Client not trusted \(rip=([^)\s,]+)")


def find_sent(log: str) -> list[Sent]:
    """Delivery attempts of Postfix: `4F2A: to=<you@x>, relay=y[...], ..., status=sent (...)`."""
    pattern = re.compile(r"\]: (\w+): to=<([^>]*)>,.* relay=([^,]+),.* status=(\w+)")
    return [
        Sent(found[1], found[2], found[3], found[4], line)
        for line in log.splitlines()
        if (found := pattern.search(line))
    ]


def find_crashes(log: str) -> list[str]:
    """Lines about a program that died, or that Postfix does not start again for a while.

    Without those of `find_header_crashes`, and as many of their consequences.
    """
    crashes = [line for line in log.splitlines() if _CRASH.search(line)]
    for cause, consequence in _HEADER_CRASHES:
        expected = sum(1 for line in crashes if cause.search(line))
        followed = [line for line in crashes if consequence.search(line)][:expected]
        crashes = [line for line in crashes if not cause.search(line) and line not in followed]
    return crashes


def find_header_crashes(log: str) -> list[str]:
    """Lines of crashes that invalid headers are known to cause."""
    causes = [cause for cause, _ in _HEADER_CRASHES]
    return [line for line in log.splitlines() if any(cause.search(line) for cause in causes)]


def _read_time(text: str) -> float:
    """`2026-11-28T07:13:31.238067+00:00 host dovecot: ...`."""
    return datetime.fromisoformat(text.split(" ", 1)[0]).timestamp()


def _find(log: str, pattern: str) -> list[LoggedClient]:
    return list(_iterate_clients(log, re.compile(pattern)))


def _iterate_clients(log: str, pattern: re.Pattern[str]) -> Iterator[LoggedClient]:
    """The pattern's first group is the address; IPv4 may be logged as `::ffff:`."""
    for line in log.splitlines():
        if found := pattern.search(line):
            address = ip_address(found[1])
            mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
            yield LoggedClient(mapped or address, line)
