"""Settings of a user's that would defeat mailproxy's, or be lost to them: which, and why."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailproxy.api.spec import Listeners
from mailproxy.plan.config_text import Fault, quote
from mailproxy.plan.dovecot_text import Statement, find_settings
from mailproxy.plan.ports import MAIL_SERVICES, MailService
from mailproxy.plan.postfix_text import MainParameter, MasterParameter

DEPRECATED_LISTENER = "sieve_deprecated"
ADDED_SERVICES = frozenset({"smtpd-proxy", *(str(s.proxy_port) for s in MAIL_SERVICES)})

_UPSTREAM = (
    "it makes Postfix expect a header on ports that get none, whereas `spec.listeners` says which"
    " ports expect one; take it out"
)
_OTHER_SMTPD = (
    "mail from the edge would go round the smtpd from which mailproxy takes the rights of client"
    " addresses; take it out"
)


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
        if statement.path == ("listen",) and not _words(value) & {"*", "::", "[::]"}:
            what = quote(f"listen = {value}")
            message = f"{what} keeps the edge out; let it contain `*` or `::`"
            faults.append(Fault(statement.line, message))
    found = ((inet.line, _explain_inet(inet, listening)) for inet in _find_inet(statements))
    return faults + [Fault(line, message) for line, message in found if message]


def _words(value: str) -> set[str]:
    return set(value.replace(",", " ").split())


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


def find_master_clashes(
    parameters: Iterable[MasterParameter], ours: Sequence[MasterParameter]
) -> list[Fault]:
    """Faults of a `postfix-master.cf` that has been read; `ours` are the lines of mailproxy's."""
    found = ((p.line, _explain_master(p, ours)) for p in parameters)
    return [Fault(line, message) for line, message in found if message]


def _explain_master(parameter: MasterParameter, ours: Sequence[MasterParameter]) -> str | None:
    what = quote(f"{parameter.service}/{parameter.type}/{parameter.name}")
    if parameter.service in ADDED_SERVICES:
        return (
            f"the service {quote(parameter.service)} does not exist when this file is read, so"
            f" {what} would be lost; mailproxy's services are copies of `smtp`, `smtpd`,"
            " `submission` and `submissions`, so set it for those"
        )
    if parameter.name in _MASTER_REASONS:
        return f"{what}: {_MASTER_REASONS[parameter.name]}"
    for mine in ours:
        if (mine.service, mine.name) == (parameter.service, parameter.name) and (
            parameter.type in ("*", mine.type)
        ):
            return (
                f"{what} would be lost, as mailproxy sets it to {quote(mine.value)}: on a port"
                " that expects a header a client address gives no rights; take it out, or use"
                " `spec.listeners: Separate`"
            )
    return None


_MASTER_REASONS = {
    "smtpd_upstream_proxy_protocol": _UPSTREAM,
    "postscreen_upstream_proxy_protocol": _UPSTREAM,
    "smtpd_service_name": _OTHER_SMTPD,
    "inet_protocols": (
        "services that disagree about IPv6 refuse clients or stop each other; set the server's"
        " variable `POSTFIX_INET_PROTOCOLS` to `all` and take it out"
    ),
    "postscreen_cache_map": (
        "two postscreens cannot open one cache; set it in `postfix-main.cf`, from where mailproxy"
        " has both share it"
    ),
}


def find_main_clashes(parameters: Iterable[MainParameter]) -> list[Fault]:
    """Faults of a `postfix-main.cf` that has been read."""
    found: list[Fault] = []
    for parameter in parameters:
        rule = _MAIN_RULES.get(parameter.name)
        if rule is not None and not rule.allows(_words(parameter.value)):
            what = quote(f"{parameter.name} = {parameter.value}")
            found.append(Fault(parameter.line, f"{what}: {rule.reason}"))
    return found


@dataclass(frozen=True)
class _MainRule:
    """`allows` judges the words of the value."""

    allows: Callable[[set[str]], bool]
    reason: str


def _nothing(words: set[str]) -> bool:
    return not words


_MAIN_RULES = {
    "smtpd_upstream_proxy_protocol": _MainRule(_nothing, _UPSTREAM),
    "postscreen_upstream_proxy_protocol": _MainRule(_nothing, _UPSTREAM),
    "smtpd_service_name": _MainRule(lambda words: words == {"smtpd"}, _OTHER_SMTPD),
    "inet_protocols": _MainRule(
        lambda words: "all" in words or words == {"ipv4", "ipv6"},
        "clients of the other kind would be refused behind the edge (IPv6 ones with `421`); set it"
        " to `all`, which is right without IPv6 too",
    ),
    "inet_interfaces": _MainRule(
        lambda words: "all" in words, "it keeps the edge out; set it to `all`"
    ),
    "proxy_write_maps": _MainRule(
        lambda words: bool(words & {"$postscreen_cache_map", "${postscreen_cache_map}"}),
        "two postscreens share their cache through it; add `$postscreen_cache_map`",
    ),
}
