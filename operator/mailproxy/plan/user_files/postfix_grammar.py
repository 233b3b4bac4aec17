"""The grammars of docker-mailserver's `postfix-main.cf` and `postfix-master.cf`."""

import re
from dataclasses import dataclass

from mailproxy.api.finding import Finding
from mailproxy.plan.user_files.text import BLANKS, number_lines, quote, refuse_line, sort_by_line

_NAME = r"[A-Za-z0-9_][-A-Za-z0-9_.]*"

# docker-mailserver leaves out what does not begin with a digit or a small letter.
_MASTER_LINE = re.compile(rf"([0-9a-z][^ \t/=*]*)/([a-z]+|\*)/({_NAME})[ \t]*=[ \t]*(.*)")
_LONE_DOLLAR = re.compile(r"\$(?![A-Za-z0-9_]|[{(][A-Za-z0-9_])")
_MAIN_LINE = re.compile(rf"({_NAME})[ \t]*=[ \t]*(.*)")


@dataclass(frozen=True)
class MasterParameter:
    """One line of `postfix-master.cf`; `type` may be `*`."""

    line: int
    service: str
    type: str
    name: str
    value: str


@dataclass(frozen=True)
class MainParameter:
    """One parameter of `postfix-main.cf`, without line breaks in `value`."""

    line: int
    name: str
    value: str


def read_master(text: str) -> tuple[list[MasterParameter], list[Finding]]:
    """Read what docker-mailserver hands to `postconf -P`, line by line.

    A finding is whatever it, or `postconf`, would leave out: neither is more than a line in a log.
    """
    parameters: list[MasterParameter] = []
    findings: list[Finding] = []
    for number, raw in number_lines(text):
        line = raw.strip(BLANKS)
        if not line or line.startswith("#"):
            continue
        match = _MASTER_LINE.fullmatch(line)
        if match is None:
            message = "it is not of the form `service/type/parameter=value`, so it would be ignored"
            findings.append(refuse_line(number, message))
            continue
        service, type_, name, value = match.groups()
        if reason := _explain_value(value):
            what = quote(f"{service}/{type_}/{name}")
            findings.append(refuse_line(number, f"the value of {what} {reason}"))
        parameters.append(MasterParameter(number, service, type_, name, value))
    return parameters, findings


def _explain_value(value: str) -> str | None:
    """Why `postconf -P` ignores a value, or writes a master.cf that Postfix cannot read."""
    if re.search(r"[ \t]", value):
        return (
            "has a blank, so Postfix would ignore it; use commas, or define a parameter of your"
            " own in `postfix-main.cf` and name it here"
        )
    if not _is_balanced(value, "{}") or not _is_balanced(value, "()"):
        return "has a bracket without its other half; Postfix could not read master.cf any more"
    return _explain_macros(value)


def _explain_macros(value: str) -> str | None:
    """Why Postfix, which expands some values at once, could not read the whole file any more."""
    text = value.replace("$$", "")
    if _LONE_DOLLAR.search(text):
        return "has a `$` before something else than a name; Postfix writes `$$` for the sign"
    if any(f"${b[0]}" in text and not _is_balanced(text, b) for b in ("{}", "()")):
        return "has a `$` with a bracket without its other half; add that"
    return None


def _is_balanced(text: str, brackets: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == brackets[0]) - (character == brackets[1])
        if depth < 0:
            return False
    return depth == 0


def read_main(text: str) -> tuple[list[MainParameter], list[Finding]]:
    """Read what docker-mailserver appends to `main.cf`.

    With an error in it Postfix reads nothing of `main.cf` at all. Source: postconf(5), "General".
    """
    parameters: list[MainParameter] = []
    findings: list[Finding] = []
    for number, parts in _join_main_lines(text, findings):
        line = " ".join(parts)
        match = _MAIN_LINE.fullmatch(line)
        if not match:
            findings.append(refuse_line(number, "it is not of the form `parameter = value`"))
        elif message := _explain_macros(match[2]):
            findings.append(refuse_line(number, f"{quote(match[1])} {message}"))
        else:
            parameters.append(MainParameter(number, match[1], match[2]))
    return parameters, sort_by_line(findings)


def _join_main_lines(text: str, findings: list[Finding]) -> list[tuple[int, list[str]]]:
    """Logical lines: what begins with a blank continues the line before, comments in between."""
    joined: list[tuple[int, list[str]]] = []
    for number, raw in number_lines(text):
        line = raw.strip(BLANKS)
        if not line or line.startswith("#"):
            continue
        if raw[0] not in BLANKS:
            joined.append((number, [line]))
        elif joined:
            joined[-1][1].append(line)
        else:
            message = (
                "it begins with a blank, so it would continue the last line of the server's own"
                " main.cf; begin it in the first column"
            )
            findings.append(refuse_line(number, message))
    return joined
