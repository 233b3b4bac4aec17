"""Whether a user's own files can stand beside ours: which ConfigMap, key, line, and why not."""

from collections.abc import Mapping
from functools import lru_cache

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mail_services import find_services
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.identity import ObjectRef
from mailproxy.observed.config_map import ConfigMap
from mailproxy.observed.world import World
from mailproxy.plan.network_policy import guarded_ports
from mailproxy.plan.user_files.dovecot_grammar import read_dovecot
from mailproxy.plan.user_files.dovecot_rules import Listening, inspect_dovecot
from mailproxy.plan.user_files.postfix_grammar import read_main, read_master
from mailproxy.plan.user_files.postfix_rules import inspect_main, inspect_master
from mailproxy.plan.user_files.text import inspect_text, sort_by_line

USER_FILES = ("dovecot.cf", "postfix-main.cf", "postfix-master.cf", "user-patches.sh")

# So many take some tenths of a second to read. A ConfigMap with ours beside them could hold 1 MiB.
MAX_BYTES = 128 * 1024
_MAX_LINES = 5


def check_user_files(proxy: MailProxy, world: World, ours: Mapping[str, str]) -> Finding | None:
    """Why the ConfigMap of `mailServer.overridesFrom` cannot be merged with the files `ours`.

    None if it can. The finding is about the ConfigMap that would have been made of both.
    """
    which = f"ConfigMap {proxy.namespace}/{proxy.spec.mail_server.overrides_from}"
    target = ObjectRef("ConfigMap", proxy.overrides_name)
    own = world.user_overrides
    if own is None:
        reason = Reason.OVERRIDES_NOT_FOUND
        message = (
            f"{which} does not exist. Create it, or fix or remove `spec.mailServer.overridesFrom`."
        )
    else:
        reason, message = Reason.OVERRIDES_INVALID, _explain(proxy, own, ours)
    if not message:
        return None
    effect = (
        f"Until then {target} stays as it is."
        if target in world.children
        else f"{target} is created then; a mail server that mounts it waits for it."
    )
    return Finding(ConditionType.ACCEPTED, reason, f"{message} {effect}", target)


def _explain(proxy: MailProxy, own: ConfigMap, ours: Mapping[str, str]) -> str:
    """Why a ConfigMap cannot be taken; empty if it can."""
    which = f"ConfigMap {proxy.namespace}/{own.child.name}"
    if misfit := _find_misfit(own):
        return f"{which} {misfit}."
    listening = Listening(
        proxy.spec.listeners,
        tuple(find_services(proxy.spec.ports_by_name)),
        frozenset(guarded_ports(proxy)),
        any(client.forwards_client_ip for client in proxy.spec.internal_clients),
    )
    refused = [
        f"{key} line {finding.line}: {finding.message}"
        for key, text in own.files
        for finding in _inspect_file(key, text, listening, ours.get(key, ""))
    ]
    if not refused:
        return ""
    more = [f"And {len(refused) - _MAX_LINES} more."] if len(refused) > _MAX_LINES else []
    return f"{which}: {' '.join([*refused[:_MAX_LINES], *more])}"


def _find_misfit(config_map: ConfigMap) -> str | None:
    """Why it cannot be a ConfigMap of files at all, as a clause."""
    if config_map.child.is_ours:
        return "is managed by mailproxy: name one of your own in `spec.mailServer.overridesFrom`"
    allowed = ", ".join(USER_FILES)
    if config_map.binary_keys:
        keys = ", ".join(config_map.binary_keys)
        return f"has {keys} in `binaryData`: put files as UTF-8 text into `data`"
    if unknown := [key for key, _ in config_map.files if key not in USER_FILES]:
        return (
            f"has {', '.join(unknown[:_MAX_LINES])}, which nothing would read: its keys can be"
            f" {allowed}; rename what is misspelt and move other files to another ConfigMap"
        )
    size = sum(len(text.encode()) for _, text in config_map.files)
    if size > MAX_BYTES:
        return f"has {size} bytes, more than the limit of {MAX_BYTES}: make it smaller"
    return None


@lru_cache(maxsize=128)  # a pod of the edge that comes or goes must not wait for the same answer
def _inspect_file(key: str, text: str, listening: Listening, ours: str) -> tuple[Finding, ...]:
    """Findings of one file beside ours; the meaning is looked at only if the form is right."""
    if findings := inspect_text(text):
        return tuple(findings)
    rules: list[Finding] = []
    if key == "dovecot.cf":
        statements, findings = read_dovecot(text)
        rules = inspect_dovecot(statements, listening)
    elif key == "postfix-master.cf":
        lines, findings = read_master(text)
        mine, _ = read_master(ours)
        rules = inspect_master(lines, mine)
    elif key == "postfix-main.cf":
        parameters, findings = read_main(text)
        rules = inspect_main(parameters)
    return tuple(sort_by_line([*findings, *rules]))
