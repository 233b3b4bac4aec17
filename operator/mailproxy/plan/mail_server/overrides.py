"""Files that make docker-mailserver expect PROXY headers.

Postfix has no list of trusted proxies: it accepts a header from anyone who reaches a port that
expects one. So what a client address would otherwise be good for (relaying, XCLIENT, no rate
limits) is taken away there. Only the table of mail services gets into these files.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from mailproxy.api.mail_services import MAIL_SERVICES, Daemon, Listeners, MailService, find_services
from mailproxy.plan.mail_server.templates import get_template, load_watcher
from mailproxy.plan.trust.files import TRUST_FILE

CHECKED_TRUST_PATH = f"/etc/mailproxy/{TRUST_FILE}"  # what mailproxy-watcher makes of that file
_FILES = {
    Listeners.SEPARATE: ("dovecot.cf", "user-patches.sh"),
    Listeners.SHARED: ("dovecot.cf", "postfix-master.cf", "user-patches.sh"),
}
_TEMPLATES = {
    listeners: {name: get_template(name) for name in names} for listeners, names in _FILES.items()
}
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
    knows. With `reload` the watcher reloads a running Dovecot when the list has changed.
    """
    chosen = find_services(service.name for service in services)
    dovecot = [service for service in chosen if not service.is_postfix]
    separate = listeners == Listeners.SEPARATE
    context = {
        "separate": separate,
        "reload": reload,
        "trust_path": CHECKED_TRUST_PATH,
        "logins": [
            (daemon, list(rows)) for daemon, rows in groupby(dovecot, key=lambda s: s.daemon)
        ],
        "watcher": _WATCHER,
        "watcher_options": _watcher_options(firewall=firewall and separate, reload=reload),
        **_find_postfix_services(chosen, separate=separate),
    }
    return {name: template.render(context) for name, template in _TEMPLATES[listeners].items()}


def _find_postfix_services(chosen: Sequence[MailService], *, separate: bool) -> dict[str, Any]:
    """Services that get a port of their own, and stock ones that expect a header with `Shared`."""
    postfix = [service for service in chosen if service.is_postfix]
    # What has no stock listener gets a port of its own in both modes.
    added = [s for s in postfix if separate or s.listener is None]
    stock = [s for s in postfix if s.listener is not None]
    return {
        "adds_ports": separate or bool(added),
        "added_smtp": next((s for s in added if s.daemon == Daemon.POSTSCREEN), None),
        "added_submissions": [s for s in added if s.daemon == Daemon.SMTPD],
        "stock_smtp": next((s for s in stock if s.daemon == Daemon.POSTSCREEN), None),
        "stock_submissions": [s for s in stock if s.daemon == Daemon.SMTPD],
        "postfix_ports": [s.proxy_port for s in MAIL_SERVICES if s.is_postfix],
    }


def _watcher_options(*, firewall: bool, reload: bool) -> str:
    # All extra ports: whoever has chosen fewer since may still have the others open.
    ports = ",".join(str(service.proxy_port) for service in MAIL_SERVICES)
    options = {"--reload": reload, f"'--firewall={ports}'": firewall}
    return " ".join(option for option, is_set in options.items() if is_set)
