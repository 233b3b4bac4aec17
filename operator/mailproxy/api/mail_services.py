"""The one table of mail services: public port, PROXY port, daemon and names of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class PortName(StrEnum):
    """The eight mail services, by their IANA names (RFC 8314: `submissions` is 465)."""

    SMTP = "smtp"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    IMAP = "imap"
    IMAPS = "imaps"
    POP3 = "pop3"
    POP3S = "pop3s"
    SIEVE = "sieve"


IMPLICIT_TLS = frozenset({PortName.SUBMISSIONS, PortName.IMAPS, PortName.POP3S})


class Listeners(StrEnum):
    SEPARATE = "Separate"
    SHARED = "Shared"


class Daemon(StrEnum):
    """Who listens: postscreen hands port 25 to smtpd; the Dovecot ones are its login services."""

    POSTSCREEN = "postscreen"
    SMTPD = "smtpd"
    IMAP_LOGIN = "imap-login"
    POP3_LOGIN = "pop3-login"
    MANAGESIEVE_LOGIN = "managesieve-login"


@dataclass(frozen=True)
class MailService:
    """One mail service.

    `port` is the public TCP port and the plain one of the mail server, `proxy_port` the one that
    expects a PROXY header with `listeners: Separate`. `service_port` is the name in the PROXY
    Service (at most 15 characters; docker-mailserver-helm uses the same). `listener` is the name
    of the stock service in Postfix's `master.cf` or of the `inet_listener` in Dovecot.
    """

    name: PortName
    port: int
    proxy_port: int
    service_port: str
    daemon: Daemon
    listener: str

    @property
    def implicit_tls(self) -> bool:
        """Whether TLS comes before the first byte of the mail protocol (RFC 8314)."""
        return self.name in IMPLICIT_TLS

    @property
    def is_postfix(self) -> bool:
        """Whether Postfix listens; otherwise Dovecot does."""
        return self.daemon in (Daemon.POSTSCREEN, Daemon.SMTPD)

    def target_port(self, listeners: Listeners) -> int:
        """Port of the mail server that expects the PROXY header."""
        return self.proxy_port if listeners == Listeners.SEPARATE else self.port


MAIL_SERVICES = (
    MailService(PortName.SMTP, 25, 12525, "smtp-proxy", Daemon.POSTSCREEN, "smtp"),
    MailService(PortName.SUBMISSION, 587, 10587, "sub-proxy", Daemon.SMTPD, "submission"),
    MailService(PortName.SUBMISSIONS, 465, 10465, "subs-proxy", Daemon.SMTPD, "submissions"),
    MailService(PortName.IMAP, 143, 10143, "imap-proxy", Daemon.IMAP_LOGIN, "imap"),
    MailService(PortName.IMAPS, 993, 10993, "imaps-proxy", Daemon.IMAP_LOGIN, "imaps"),
    MailService(PortName.POP3, 110, 10110, "pop3-proxy", Daemon.POP3_LOGIN, "pop3"),
    MailService(PortName.POP3S, 995, 10995, "pop3s-proxy", Daemon.POP3_LOGIN, "pop3s"),
    MailService(PortName.SIEVE, 4190, 14190, "msieve-proxy", Daemon.MANAGESIEVE_LOGIN, "sieve"),
)


def find_services(names: Iterable[PortName]) -> list[MailService]:
    """Rows of the table for `names`, in the table's order and each once."""
    wanted = set(names)
    return [service for service in MAIL_SERVICES if service.name in wanted]


DEFAULT_PORTS = (
    PortName.SMTP,
    PortName.SUBMISSION,
    PortName.SUBMISSIONS,
    PortName.IMAP,
    PortName.IMAPS,
)
