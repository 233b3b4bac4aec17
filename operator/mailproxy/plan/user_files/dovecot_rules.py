"""Settings in a user's dovecot.cf that would defeat mailproxy's: which, and why."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailproxy.api.finding import Finding
from mailproxy.api.mail_services import Listeners, MailService
from mailproxy.plan.user_files.dovecot_grammar import Statement, find_settings
from mailproxy.plan.user_files.text import quote, refuse_line, split_words

DEPRECATED_LISTENER = "sieve_deprecated"


@dataclass(frozen=True)
class Listening:
    """What mailproxy listens on: the chosen services, and all ports that are kept for the edge.

    `forwards_clients`: whether internal clients may name their users' addresses.
    """

    listeners: Listeners
    services: tuple[MailService, ...]
    guarded_ports: frozenset[int]
    forwards_clients: bool = False


@dataclass(frozen=True)
class _Inet:
    """One `inet_listener` setting; `name` is None for the beginning of the section."""

    line: int
    listener: str
    name: str | None
    value: str


def inspect_dovecot(statements: Sequence[Statement], listening: Listening) -> list[Finding]:
    """What is wrong with a `dovecot.cf` that has been read."""
    findings = [
        refuse_line(
            s.line,
            "`haproxy_trusted_networks` is made from the edge's pods; name further networks in"
            " `spec.trust.networks` and remove it",
        )
        for s in find_settings(statements, "haproxy_trusted_networks")
    ]
    if listening.forwards_clients:
        findings += [
            refuse_line(
                s.line,
                "`login_trusted_networks` is made from `spec.internalClients`; name those pods"
                " there, or remove `forwardsClientIP` from it",
            )
            for s in find_settings(statements, "login_trusted_networks")
        ]
    for statement in statements:
        value = statement.value or ""
        if statement.path == ("listen",) and not split_words(value) & {"*", "::", "[::]"}:
            what = quote(f"listen = {value}")
            message = f"{what} keeps the edge out; include `*` or `::`"
            findings.append(refuse_line(statement.line, message))
    found = ((inet.line, _explain_inet(inet, listening)) for inet in _find_inet(statements))
    return findings + [refuse_line(line, message) for line, message in found if message]


def _find_inet(statements: Iterable[Statement]) -> Iterator[_Inet]:
    for statement in statements:
        *above, last = statement.path
        if statement.value is None and above[-1:] == ["inet_listener"]:
            yield _Inet(statement.line, last, None, "")
        elif statement.value is not None and above[-2:-1] == ["inet_listener"]:
            yield _Inet(statement.line, above[-1], last, statement.value)


def _explain_inet(inet: _Inet, listening: Listening) -> str | None:
    shared = listening.listeners == Listeners.SHARED
    stock = {s.listener: s.port for s in listening.services if s.listener} if shared else {}
    if inet.name is None:
        ours = {DEPRECATED_LISTENER}
        if not shared:
            ours |= {f"{s.listener or s.name}_proxy" for s in listening.services}
        if inet.listener in ours:
            return f"`inet_listener {inet.listener}` is mailproxy's own; rename yours, or remove it"
    elif inet.name == "port":
        port = inet.value.lstrip("0")  # as text: it may have any number of digits
        if inet.listener in stock:
            if port != str(stock[inet.listener]):
                return (
                    f"with `spec.listeners: Shared` the edge reaches `inet_listener"
                    f" {inet.listener}` on port {stock[inet.listener]}, and {quote(inet.value)}"
                    " moves it away; remove it"
                )
        elif port in map(str, listening.guarded_ports):
            return f"port {port} is mailproxy's own; choose another, or remove the listener"
    elif inet.name in ("address", "listen") and inet.listener in stock:
        what = quote(f"{inet.name} = {inet.value}")
        return f"{what} may keep the edge out of `inet_listener {inet.listener}`; remove it"
    return None
