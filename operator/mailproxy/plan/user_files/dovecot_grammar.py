"""The grammar of Dovecot's configuration, as far as all of its versions agree on it.

What is ours comes behind a user's text, so that text has to end on the level on which it began.
Stricter than Dovecot where 2.3 and 2.4 differ, never more lenient.

Source: `config_parse_line` in Dovecot's src/config/config-parser.c.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailproxy.api.finding import Finding
from mailproxy.plan.user_files.text import BLANKS, number_lines, quote, refuse_line, sort_by_line

MAX_DEPTH = 20  # Dovecot knows four; the path of each setting gets longer with it

# A `#` begins a comment unless it is quoted; a quote that is never closed is an ordinary character
# and leaves the rest of its line without comment.
_BEFORE_COMMENT = re.compile(r"""(?:[^'"#]++|'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")*+""")
_NAME = r"""[^ \t"'={}]+"""
_INCLUDE = re.compile(r"!include(?:_try)?[ \t]+.+")
_SETTING = re.compile(rf"({_NAME})[ \t]*=[ \t]*(.*)")
_SECTION = re.compile(rf'({_NAME})(?:[ \t]+(?:"([^"\\]*)"|([^ \t"{{}}]+)))?[ \t]+{{')
_GROUP = re.compile(r"(group)[ \t]+(@[^ \t{}]+)[ \t]+([^ \t{}]+)[ \t]+{")


@dataclass(frozen=True)
class Statement:
    """A setting, or the beginning of a section, whose `value` is None.

    `path` leads to it from the top: `("service", "imap-login", "process_limit")`.
    """

    line: int
    path: tuple[str, ...]
    value: str | None


@dataclass(frozen=True)
class _Section:
    line: int
    text: str
    path: tuple[str, ...]


def read_dovecot(text: str) -> tuple[list[Statement], list[Finding]]:
    """Read settings and sections; what follows a text without findings is read as if alone.

    Files that it includes are not looked into.
    """
    statements: list[Statement] = []
    findings: list[Finding] = []
    sections: list[_Section] = []
    for number, line in _join_lines(text, findings):
        if line == "}":
            if sections:
                sections.pop()
            else:
                findings.append(refuse_line(number, "`}` closes nothing; remove it"))
        elif match := _SETTING.fullmatch(line):
            path = (*_path(sections), *match[1].split("/"))
            statements.append(Statement(number, path, _unquote(match[2])))
            if match[2].startswith("<<"):
                findings.append(refuse_line(number, _explain_heredoc(match[1])))
        elif match := _SECTION.fullmatch(line) or _GROUP.fullmatch(line):
            path = (*_path(sections), *(part for part in match.groups() if part))
            sections.append(_Section(number, line, path))
            statements.append(Statement(number, path, None))
            if len(sections) > MAX_DEPTH:
                return statements, [
                    refuse_line(number, f"sections are nested {MAX_DEPTH} deep at most")
                ]
        elif not _INCLUDE.fullmatch(line):
            findings.append(refuse_line(number, _explain_other(line)))
    findings += [
        refuse_line(section.line, f"{quote(section.text)} is never closed; add a line `}}`")
        for section in sections
    ]
    return statements, sort_by_line(findings)


def _join_lines(text: str, findings: list[Finding]) -> Iterator[tuple[int, str]]:
    """Statements without comments, with the number of the line where each begins."""
    unfinished = "its backslash continues nothing, so Dovecot drops the setting; remove it"
    begun: list[str] = []  # what a backslash has continued so far
    start = 0
    for number, raw in number_lines(f"{text}\n"):
        line = raw.strip(BLANKS)
        if not begun:
            start = number
        if not line or line.startswith("#"):
            if begun:
                findings.append(refuse_line(start, unfinished))
                begun = []
            continue
        line = _strip_comment(line)
        if line.endswith("\\"):
            begun.append(line[:-1].rstrip(BLANKS))
            continue
        yield start, " ".join(filter(None, [*begun, line]))
        begun = []


def _strip_comment(line: str) -> str:
    match = _BEFORE_COMMENT.match(line)
    end = match.end() if match else 0
    return line[:end].rstrip(BLANKS) if line[end : end + 1] == "#" else line


def _path(sections: list[_Section]) -> tuple[str, ...]:
    return sections[-1].path if sections else ()


def _unquote(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] in "\"'" and value[0] == value[-1]
    return value[1:-1] if is_quoted else value


def _explain_heredoc(name: str) -> str:
    return (
        f"the value of {quote(name)} begins with `<<`, which some versions of Dovecot continue over"
        " the lines that follow; write it in one line, or into a file"
    )


def _explain_other(line: str) -> str:
    # Only the first word: behind it may be a password.
    word = quote(re.split(r"[ \t={}]", line, maxsplit=1)[0] or line[0])
    return (
        f"{word} begins neither a setting (`name = value`) nor a section (`name {{`, with its"
        " settings and `}` on lines of their own)"
    )


def find_settings(statements: Iterable[Statement], name: str) -> list[Statement]:
    """Settings of that name on any level."""
    return [s for s in statements if s.value is not None and s.path[-1] == name]
