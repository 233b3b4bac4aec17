"""The one table of mail services. Whatever depends on how many there are is computed from it.

Source of names and ports: IANA's service registry, and RFC 8314 for implicit TLS.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Listeners(StrEnum):
    SEPARATE = "Separate"
    SHARED = "Shared"


class Daemon(StrEnum):
    """Program that listens: postscreen hands port 25 to smtpd; Dovecot has its login services."""

    POSTSCREEN = "postscreen"
    SMTPD = "smtpd"
    IMAP_LOGIN = "imap-login"
    POP3_LOGIN = "pop3-login"
    MANAGESIEVE_LOGIN = "managesieve-login"


@dataclass(frozen=True)
class MailService:
    """One mail service.

    `port` is the public TCP port and `proxy_port` the mail server's one that expects a PROXY
    header with `listeners: Separate`. `service_port` is the port's name in the PROXY Service (at
    most 15 characters; docker-mailserver-helm uses the same). `listener` is the mail server's
    stock one on `port`: an `inet` service in Postfix's `master.cf` or an `inet_listener` in
    Dovecot; None if it has none. `copy_of` is the `master.cf` service that Postfix's PROXY port
    is a copy of, if that is not `listener`. `by_default` is whether `spec.ports` has the service
    unless the user names others.
    """

    name: str
    port: int
    proxy_port: int
    service_port: str
    daemon: Daemon
    listener: str | None
    copy_of: str | None = None
    implicit_tls: bool = False
    by_default: bool = True

    @property
    def source(self) -> str:
        """The `master.cf` service that the PROXY port is a copy of."""
        return self.copy_of or self.listener or self.name

    @property
    def is_postfix(self) -> bool:
        """Whether Postfix listens; otherwise Dovecot does."""
        return self.daemon in (Daemon.POSTSCREEN, Daemon.SMTPD)

    def target_port(self, listeners: Listeners) -> int:
        """Port of the mail server that expects the PROXY header."""
        is_stock = listeners == Listeners.SHARED and self.listener is not None
        return self.port if is_stock else self.proxy_port

    def __str__(self) -> str:
        return f"`{self.name}` ({self.port}{', TLS' if self.implicit_tls else ''})"


MAIL_SERVICES = (
    MailService("smtp", 25, 12525, "smtp-proxy", Daemon.POSTSCREEN, "smtp"),
    MailService("submission", 587, 10587, "sub-proxy", Daemon.SMTPD, "submission"),
    MailService(
        "submissions", 465, 10465, "subs-proxy", Daemon.SMTPD, "submissions", implicit_tls=True
    ),
    MailService("imap", 143, 10143, "imap-proxy", Daemon.IMAP_LOGIN, "imap"),
    MailService("imaps", 993, 10993, "imaps-proxy", Daemon.IMAP_LOGIN, "imaps", implicit_tls=True),
    MailService("pop3", 110, 10110, "pop3-proxy", Daemon.POP3_LOGIN, "pop3", by_default=False),
    MailService(
        *("pop3s", 995, 10995, "pop3s-proxy", Daemon.POP3_LOGIN, "pop3s"),
        implicit_tls=True,
        by_default=False,
    ),
    MailService(
        *("sieve", 4190, 14190, "msieve-proxy", Daemon.MANAGESIEVE_LOGIN, "sieve"),
        by_default=False,
    ),
)


class PortName(StrEnum):
    """Names of the mail services, in the table's order."""

    _ignore_ = ["service"]  # noqa: RUF012  an Enum's own setting
    for service in MAIL_SERVICES:
        vars()[service.name.replace("-", "_").upper()] = service.name


def find_services(names: Iterable[str]) -> list[MailService]:
    """Rows of the table for `names`, in the table's order and each once."""
    wanted = set(names)
    return [service for service in MAIL_SERVICES if service.name in wanted]


IMPLICIT_TLS = tuple(service.name for service in MAIL_SERVICES if service.implicit_tls)
DEFAULT_PORTS = tuple(service.name for service in MAIL_SERVICES if service.by_default)
PROXY_PORTS = tuple(service.proxy_port for service in MAIL_SERVICES)
