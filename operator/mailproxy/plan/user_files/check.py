"""Whether a user's own files can stand beside ours: which ConfigMap, key, line, and why not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from mailproxy.api.mail_services import find_services
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.observed.config_map import ConfigMap
from mailproxy.plan.network_policy import guarded_ports
from mailproxy.plan.user_files.dovecot_grammar import read_dovecot
from mailproxy.plan.user_files.dovecot_rules import Listening, find_dovecot_clashes
from mailproxy.plan.user_files.postfix_grammar import read_main, read_master
from mailproxy.plan.user_files.postfix_rules import find_main_clashes, find_master_clashes
from mailproxy.plan.user_files.text import Fault, find_text_faults

USER_FILES = ("dovecot.cf", "postfix-main.cf", "postfix-master.cf", "user-patches.sh")

# So many take some tenths of a second to read. A ConfigMap with ours beside them could hold 1 MiB.
MAX_BYTES = 128 * 1024
_MAX_TOLD = 5


@dataclass(frozen=True)
class Refusal:
    """Why a user's files are not taken; the message has no full stop at its end."""

    reason: Reason
    message: str


def find_refusal(
    proxy: MailProxy, config_map: ConfigMap | None, ours: Mapping[str, str]
) -> Refusal | None:
    """Why the ConfigMap of `mailServer.overridesFrom` cannot be merged with the files `ours`.

    None when it can. A ConfigMap that is not there, None, cannot.
    """
    which = f"ConfigMap {proxy.namespace}/{proxy.spec.mail_server.overrides_from}"
    if config_map is None:
        message = (
            f"{which} does not exist: make it, or mend or leave out `spec.mailServer.overridesFrom`"
        )
        return Refusal(Reason.OVERRIDES_NOT_FOUND, message)
    if misfit := _find_misfit(config_map):
        return Refusal(Reason.OVERRIDES_INVALID, f"{which} {misfit}")
    listening = Listening(
        proxy.spec.listeners,
        tuple(find_services(proxy.spec.ports_by_name)),
        frozenset(guarded_ports(proxy)),
        any(client.forwards_client_ip for client in proxy.spec.internal_clients),
    )
    told = [
        f"{key} line {fault.line}: {fault.message}"
        for key, text in config_map.files
        for fault in _find_faults(key, text, listening, ours.get(key, ""))
    ]
    if not told:
        return None
    more = [f"and {len(told) - _MAX_TOLD} more"] if len(told) > _MAX_TOLD else []
    message = f"{which}: {'; '.join([*told[:_MAX_TOLD], *more])}"
    return Refusal(Reason.OVERRIDES_INVALID, message)


def _find_misfit(config_map: ConfigMap) -> str | None:
    """Why it cannot be a ConfigMap of files at all."""
    if config_map.child.is_ours:
        return "is made by mailproxy: name one of your own in `spec.mailServer.overridesFrom`"
    allowed = ", ".join(USER_FILES)
    if config_map.binary_keys:
        keys = ", ".join(config_map.binary_keys)
        return f"holds {keys} as `binaryData`: its files are text, in UTF-8 and under `data`"
    if unknown := [key for key, _ in config_map.files if key not in USER_FILES]:
        return (
            f"holds {', '.join(unknown[:_MAX_TOLD])}, which nothing would read: its keys can be"
            f" {allowed}; rename what is misspelt and put other files into another ConfigMap"
        )
    size = sum(len(text.encode()) for _, text in config_map.files)
    if size > MAX_BYTES:
        return f"holds {size} bytes, more than the {MAX_BYTES} that are taken: make it smaller"
    return None


@lru_cache(maxsize=128)  # a pod of the edge that comes or goes must not wait for the same verdict
def _find_faults(key: str, text: str, listening: Listening, ours: str) -> tuple[Fault, ...]:
    """Faults of one file beside ours; the meaning is looked at only where the form is right."""
    if faults := find_text_faults(text):
        return tuple(faults)
    clashes: list[Fault] = []
    if key == "dovecot.cf":
        statements, faults = read_dovecot(text)
        clashes = find_dovecot_clashes(statements, listening)
    elif key == "postfix-master.cf":
        lines, faults = read_master(text)
        mine, _ = read_master(ours)
        clashes = find_master_clashes(lines, mine)
    elif key == "postfix-main.cf":
        parameters, faults = read_main(text)
        clashes = find_main_clashes(parameters)
    return tuple(sorted([*faults, *clashes], key=lambda fault: fault.line))
