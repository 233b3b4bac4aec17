"""Files that make docker-mailserver expect PROXY headers, and the list of whom Dovecot believes.

Postfix has no such list: it believes a header from anyone who reaches a port that expects one. So
what a client address would otherwise be good for (relaying, XCLIENT, no rate limits) is taken away
there. Only the table of mail services and parsed networks get into these files.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from mailproxy.api.networks import Network
from mailproxy.api.spec import Listeners
from mailproxy.plan.clients import Clients
from mailproxy.plan.ports import MAIL_SERVICES, Daemon, MailService, find_services
from mailproxy.plan.trust import sort_networks

TRUST_FILE = "dovecot-trust.conf"
CLIENTS_FILE = "internal-clients"
CHECKED_TRUST_PATH = f"/etc/mailproxy/{TRUST_FILE}"  # what mailproxy-watcher makes of that file

# Dovecot 2.3 hands the value to a program in its environment, where Linux allows 128 KiB for one
# variable. More than 2000 of the longest networks fit.
MAX_TRUST_CHARACTERS = 100_000

_LOADER = PackageLoader("mailproxy", "plan/templates")
_ENVIRONMENT = Environment(
    loader=_LOADER,
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701  these are configuration files, not HTML
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)


def get_template(name: str) -> Template:
    """Template of the file `name`."""
    return _ENVIRONMENT.get_template(f"{name}.j2")


_FILES = {
    Listeners.SEPARATE: ("dovecot.cf", "user-patches.sh"),
    Listeners.SHARED: ("dovecot.cf", "postfix-master.cf", "user-patches.sh"),
}
_TEMPLATES = {
    listeners: {name: get_template(name) for name in names} for listeners, names in _FILES.items()
}


def load_watcher() -> str:
    """The program that lets the running mail server follow the edge; a part for each subject.

    It is no template, as `${#` would begin a comment there: it gets what it needs as arguments.
    """
    parts = ("settings", "networks", "mount", "firewall", "dovecot", "fail2ban", "main")
    names = [f"watcher/{part}.sh" for part in parts]
    return "".join(_LOADER.get_source(_ENVIRONMENT, name)[0] for name in names)


_WATCHER = load_watcher().rstrip()


def render_overrides(
    listeners: Listeners,
    services: Sequence[MailService],
    *,
    firewall: bool = True,
    reload: bool = True,
) -> dict[str, str]:
    """Files that docker-mailserver reads once, when it starts, by their names.

    `user-patches.sh` installs the watcher, and with `Separate` it adds Postfix's services, which no
    other override can. `Shared` needs `postfix-master.cf` instead. Order and duplicates of
    `services` do not matter.

    With `firewall` strangers are refused on the PROXY ports where the container has the right to do
    so; not with `Shared`, as the kubelet's probes come to the same ports from addresses that nobody
    knows. With `reload` a running Dovecot is told at once whom to believe.
    """
    chosen = find_services(service.name for service in services)
    postfix = [service for service in chosen if service.is_postfix]
    dovecot = [service for service in chosen if not service.is_postfix]
    separate = listeners == Listeners.SEPARATE
    context = {
        "separate": separate,
        "reload": reload,
        "trust_path": CHECKED_TRUST_PATH,
        "smtp": next((s for s in postfix if s.daemon == Daemon.POSTSCREEN), None),
        "submissions": [s for s in postfix if s.daemon == Daemon.SMTPD],
        "postfix_ports": [s.proxy_port for s in MAIL_SERVICES if s.is_postfix],
        "logins": [
            (daemon, list(rows)) for daemon, rows in groupby(dovecot, key=lambda s: s.daemon)
        ],
        "watcher": _WATCHER,
        "watcher_options": _watcher_options(firewall=firewall and separate, reload=reload),
    }
    return {name: template.render(context) for name, template in _TEMPLATES[listeners].items()}


def _watcher_options(*, firewall: bool, reload: bool) -> str:
    # All eight extra ports: whoever has chosen fewer since may still have the others open.
    ports = ",".join(str(service.proxy_port) for service in MAIL_SERVICES)
    options = {"--reload": reload, f"'--firewall={ports}'": firewall}
    return " ".join(option for option, is_set in options.items() if is_set)


def render_trust(networks: Iterable[Network], clients: Clients | None = None) -> dict[str, str]:
    """Files that tell whose PROXY header to believe, and who the internal clients are.

    An empty list trusts nobody. Networks are sorted and each stands there once, exactly as wide as
    it came: neighbours are not collapsed. Nothing is cut off a list that is too long either, as it
    would be chance whose clients are refused: the caller renders the empty list instead and says
    so. The clients' file has one line; there is none without clients.

    Raises:
        ValueError: A list is longer than `MAX_TRUST_CHARACTERS`, or an address has a zone.
    """
    lines = [_render_setting("haproxy_trusted_networks", networks)]
    if clients is not None and clients.forwarding is not None:
        lines.append(_render_setting("login_trusted_networks", clients.forwarding))
    files = {TRUST_FILE: "".join(lines)}
    if clients is not None:
        files[CLIENTS_FILE] = f"{_join_networks(clients.addresses)}\n"
    return files


def _render_setting(name: str, networks: Iterable[Network]) -> str:
    return f"{name} = {_join_networks(networks)}".rstrip() + "\n"


def _join_networks(networks: Iterable[Network]) -> str:
    # Dovecot stops reading at the first bad entry without an error: only parsed networks get here.
    ordered = sort_networks(networks)
    text = " ".join(map(_format_network, ordered))
    if len(text) > MAX_TRUST_CHARACTERS:
        raise ValueError(
            f"{len(ordered)} networks make {len(text)} characters, more than the"
            f" {MAX_TRUST_CHARACTERS} that Dovecot is given at once"
        )
    return text


def overrides_hash(files: Mapping[str, str]) -> str:
    """Short fingerprint of rendered files: equal for equal names and contents, in any order."""
    text = json.dumps(dict(files), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _format_network(network: Network) -> str:
    address = network.network_address
    if address.version == 6 and address.scope_id is not None:
        # A zone is free text: Python parses `fe80::1%x 10.0.0.1`.
        raise ValueError("an address with a zone cannot be trusted")
    return str(address if network.prefixlen == network.max_prefixlen else network)
