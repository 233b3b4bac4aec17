"""Settings in a user's dovecot.cf that would defeat mailproxy's: which, and why."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailproxy.api.mail_services import Listeners, MailService
from mailproxy.plan.user_files.dovecot_grammar import Statement, find_settings
from mailproxy.plan.user_files.text import Fault, quote, split_words

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


def find_dovecot_clashes(statements: Sequence[Statement], listening: Listening) -> list[Fault]:
    """Faults of a `dovecot.cf` that has been read."""
    faults = [
        Fault(
            s.line,
            "`haproxy_trusted_networks` is made from the edge's pods; name further networks in"
            " `spec.trust.networks` and take it out",
        )
        for s in find_settings(statements, "haproxy_trusted_networks")
    ]
    if listening.forwards_clients:
        faults += [
            Fault(
                s.line,
                "`login_trusted_networks` is made from `spec.internalClients`; name those pods"
                " there, or take `forwardsClientIP` out of it",
            )
            for s in find_settings(statements, "login_trusted_networks")
        ]
    for statement in statements:
        value = statement.value or ""
        if statement.path == ("listen",) and not split_words(value) & {"*", "::", "[::]"}:
            what = quote(f"listen = {value}")
            message = f"{what} keeps the edge out; let it contain `*` or `::`"
            faults.append(Fault(statement.line, message))
    found = ((inet.line, _explain_inet(inet, listening)) for inet in _find_inet(statements))
    return faults + [Fault(line, message) for line, message in found if message]


def _find_inet(statements: Iterable[Statement]) -> Iterator[_Inet]:
    for statement in statements:
        *above, last = statement.path
        if statement.value is None and above[-1:] == ["inet_listener"]:
            yield _Inet(statement.line, last, None, "")
        elif statement.value is not None and above[-2:-1] == ["inet_listener"]:
            yield _Inet(statement.line, above[-1], last, statement.value)


def _explain_inet(inet: _Inet, listening: Listening) -> str | None:
    shared = listening.listeners == Listeners.SHARED
    stock = {s.listener: s.port for s in listening.services} if shared else {}
    if inet.name is None:
        ours = {DEPRECATED_LISTENER}
        if not shared:
            ours |= {f"{service.listener}_proxy" for service in listening.services}
        if inet.listener in ours:
            return (
                f"`inet_listener {inet.listener}` is mailproxy's own; name yours otherwise, or take"
                " it out"
            )
    elif inet.name == "port":
        port = inet.value.lstrip("0")  # as text: it may have any number of digits
        if inet.listener in stock:
            if port != str(stock[inet.listener]):
                return (
                    f"with `spec.listeners: Shared` the edge reaches `inet_listener"
                    f" {inet.listener}` on port {stock[inet.listener]}, and {quote(inet.value)}"
                    " moves it away; take it out"
                )
        elif port in map(str, listening.guarded_ports):
            return f"port {port} is mailproxy's own; choose another, or take the listener out"
    elif inet.name in ("address", "listen") and inet.listener in stock:
        what = quote(f"{inet.name} = {inet.value}")
        return f"{what} may keep the edge out of `inet_listener {inet.listener}`; take it out"
    return None
