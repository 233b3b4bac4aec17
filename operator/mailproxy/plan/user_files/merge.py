"""A user's own files and ours in one: docker-mailserver has one place for each."""

from collections.abc import Mapping
from itertools import count

from mailproxy.plan.mail_server.templates import get_template
from mailproxy.plan.user_files.text import GENERATED

SCRIPT = "user-patches.sh"


def merge_overrides(ours: Mapping[str, str], users: Mapping[str, str], name: str) -> dict[str, str]:
    """Files in which both are effective; what is ours comes last, as the last one wins.

    `users` are texts that `check_user_files` let pass, from the ConfigMap `name`. A user's script
    runs in a shell of its own before ours. A `dovecot.cf` of a user's adds to ours what lets
    Dovecot start without it when Dovecot cannot read it: no check of ours can know all settings.
    """
    merged = {key: _join(text, ours.get(key, "")) for key, text in users.items() if key != SCRIPT}
    files = dict(ours) | merged
    script = users.get(SCRIPT)
    if script is not None or "dovecot.cf" in users:
        first = _build_script(script, name, checks_dovecot="dovecot.cf" in users)
        files[SCRIPT] = f"{first}\n{ours[SCRIPT]}"
    return dict(sorted(files.items()))


def _join(text: str, ours: str) -> str:
    """The user's text first, so that the mail programs count its lines as the user does."""
    if not ours:
        return text
    return f"{_end_line(text)}\n{ours}" if text else ours


def _build_script(script: str | None, name: str, *, checks_dovecot: bool) -> str:
    """What runs before our own script; `script` stays text that no template and no shell reads."""
    delimiter = _find_delimiter(script or "")
    frame = get_template("user-files.sh").render(
        runs_script=script is not None,
        checks_dovecot=checks_dovecot,
        delimiter=delimiter,
        name=name,
        generated=GENERATED,
    )
    before, mark, after = frame.partition(f"<<'{delimiter}'\n")
    return before + mark + _end_line(script or "") + after


def _find_delimiter(text: str) -> str:
    """A word that does not occur in `text`, so that no line of it ends a here-document."""
    words = (f"END_OF_USER_PATCHES_{number}" for number in count(1))
    return next(word for word in words if word not in text)


def _end_line(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
