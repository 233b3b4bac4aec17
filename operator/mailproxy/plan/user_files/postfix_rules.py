"""Settings in a user's Postfix files that would defeat mailproxy's, or be lost: which, and why."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mailproxy.api.finding import Finding
from mailproxy.api.mail_services import MAIL_SERVICES
from mailproxy.plan.user_files.postfix_grammar import MainParameter, MasterParameter
from mailproxy.plan.user_files.text import quote, refuse_line, split_words

ADDED_SERVICES = frozenset({"smtpd-proxy", *(str(s.proxy_port) for s in MAIL_SERVICES)})
_UPSTREAM = (
    "it makes Postfix expect a header on ports that get none, whereas `spec.listeners` says which"
    " ports expect one; remove it"
)
_OTHER_SMTPD = (
    "mail from the edge would bypass the smtpd from which mailproxy takes the rights of client"
    " addresses; remove it"
)


def inspect_master(
    parameters: Iterable[MasterParameter], ours: Sequence[MasterParameter]
) -> list[Finding]:
    """What is wrong with a `postfix-master.cf`; `ours` are the lines of mailproxy's."""
    found = ((p.line, _explain_master(p, ours)) for p in parameters)
    return [refuse_line(line, message) for line, message in found if message]


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
                " that expects a header a client address gives no rights; remove it, or use"
                " `spec.listeners: Separate`"
            )
    return None


_MASTER_REASONS = {
    "smtpd_upstream_proxy_protocol": _UPSTREAM,
    "postscreen_upstream_proxy_protocol": _UPSTREAM,
    "smtpd_service_name": _OTHER_SMTPD,
    "inet_protocols": (
        "services that disagree about IPv6 refuse clients or stop each other; set the server's"
        " variable `POSTFIX_INET_PROTOCOLS` to `all` and remove it"
    ),
    "postscreen_cache_map": (
        "two postscreens cannot open one cache; set it in `postfix-main.cf`, from where mailproxy"
        " has both share it"
    ),
}


def inspect_main(parameters: Iterable[MainParameter]) -> list[Finding]:
    """What is wrong with a `postfix-main.cf` that has been read."""
    found: list[Finding] = []
    for parameter in parameters:
        rule = _MAIN_RULES.get(parameter.name)
        if rule is not None and not rule.allows(split_words(parameter.value)):
            what = quote(f"{parameter.name} = {parameter.value}")
            found.append(refuse_line(parameter.line, f"{what}: {rule.reason}"))
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
