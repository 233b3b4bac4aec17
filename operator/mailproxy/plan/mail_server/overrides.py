"""Files that make docker-mailserver expect PROXY headers, and the list of whom Dovecot believes.

Postfix has no such list: it believes a header from anyone who reaches a port that expects one. So
what a client address would otherwise be good for (relaying, XCLIENT, no rate limits) is taken away
there. Only the table of mail services and parsed networks get into these files.
"""

from collections.abc import Sequence
from itertools import groupby

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
