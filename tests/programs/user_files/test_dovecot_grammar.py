"""Our reading of Dovecot's configuration, judged by Dovecot's own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programs.mail_programs import private_dovecot

from mailproxy.plan.user_files.dovecot_grammar import MAX_DEPTH, Statement, read_dovecot

# What Dovecot says of a text whose form is wrong; all else is about names and values.
FORM = ("Unexpected '}'", "Missing '}'", "Expecting '{'", "Garbage after '{'")

WELL_FORMED = [
    "",
    "\n\n# nothing\n   # at all {\n",
    "mail_debug = yes",
    "  mail_debug=yes # why\n",
    "plugin {\n\ta = b\n}\n",
    "plugin {\n  a = {\n}\n",
    'plugin {\n  a = "# no comment } \\" {" # but this is\n}\n',
    "login_greeting = Don't # no comment either\n",
    "login_greeting = \\\n  over \\\n  two lines\n",
    'service imap-login {\n  inet_listener "two words" {\n    port = 5\n  }\n}\n',
    "protocol !imap {\n  mail_plugins = $mail_plugins quota\n}\n",
    "namespace inbox {\n  mailbox Trash {\n    auto = create\n  }\n}\n",
    "local 10.0.0.0/8 {\n  ssl = no\n}\n",
    "!include_try /nonexistent/*.conf\n",
    "plugin/a = b\n",
]
MALFORMED = [
    ("}", 1, "closes nothing"),
    ("plugin {\n  a = b\n}\n}\n", 4, "closes nothing"),
    ("\nplugin {\n  a = b\n", 2, "`plugin {` is never closed"),
    ("plugin {\n  a = b }\n", 1, "is never closed"),
    ("service x {\n  inet_listener y {\n  }\n", 1, "`service x {` is never closed"),
    ("plugin { a = b }\n", 1, "`plugin` begins neither"),
    ("plugin {}\n", 1, "begins neither"),
    ("plugin{\n}\n", 1, "begins neither"),
    ("mail_debug yes\n", 1, "begins neither"),
    ("mail_debug: yes\n", 1, "`mail_debug:` begins neither"),
    ("= yes\n", 1, "begins neither"),
    ("{\n}\n", 1, "`{` begins neither"),
    ("<<<<<<< HEAD\n", 1, "`<<<<<<<` begins neither"),
]
# Dovecot 2.3 takes these, but drops a setting, or another version of it reads them otherwise.
REFUSED_ALL_THE_SAME = [
    ("login_greeting = a \\", 1, "continues nothing"),
    ("login_greeting = a \\\n# why\nmail_debug = yes\n", 1, "continues nothing"),
    ("login_greeting = a \\\n\nmail_debug = yes\n", 1, "continues nothing"),
    ("plugin {\n  a = <<END\n}\n", 2, "`<<`"),
    ('"a" = b\n', 1, "begins neither"),
    ("!include\n", 1, "`!include` begins neither"),
]


def find_problems(text: str) -> list[tuple[int | None, str]]:
    """Line and message of each finding."""
    return [(finding.line, finding.message) for finding in read_dovecot(text)[1]]


def is_form(error: str) -> bool:
    return any(said in error for said in FORM)


def dovecots_error(text: str) -> str:
    with private_dovecot("imap") as dovecot:
        dovecot.write_local_conf(text)
        return dovecot.find_error()


@pytest.mark.parametrize("text", WELL_FORMED)
def test_well_formed_text_has_no_finding_of_ours_nor_of_dovecots(text: str) -> None:
    assert find_problems(text) == []
    assert not is_form(dovecots_error(text))


@pytest.mark.parametrize(("text", "line", "message"), [*MALFORMED, *REFUSED_ALL_THE_SAME])
def test_finding_names_its_line(text: str, line: int, message: str) -> None:
    (found, *_) = find_problems(text)
    assert found[0] == line
    assert message in found[1]
    assert found[1].endswith(".")


@pytest.mark.parametrize("text", [text for text, *_ in MALFORMED])
def test_dovecot_refuses_what_is_malformed(text: str) -> None:
    assert dovecots_error(text)


def test_reading_ends_where_sections_are_nested_too_deep() -> None:
    ((line, message),) = find_problems("a {\n" * 30_000)
    assert (line, message) == (MAX_DEPTH + 1, f"sections are nested {MAX_DEPTH} deep at most.")
    assert find_problems("a {\n" * MAX_DEPTH + "}\n" * MAX_DEPTH) == []


def test_what_may_be_a_secret_is_not_repeated() -> None:
    ((_, message),) = find_problems("ldap_password hunter2\n")
    assert "hunter2" not in message


def test_settings_are_found_with_all_sections_around_them() -> None:
    text = (
        "mail_debug = yes\n"
        "service imap-login {\n"
        '  inet_listener "own" {\n'
        "    port = \\\n"
        "      '10143' # ours?\n"
        "  }\n"
        "}\n"
        "plugin/quota = maildir\n"
    )
    inner = ("service", "imap-login", "inet_listener", "own")
    assert read_dovecot(text)[0] == [
        Statement(1, ("mail_debug",), "yes"),
        Statement(2, inner[:2], None),
        Statement(3, inner, None),
        Statement(4, (*inner, "port"), "10143"),
        Statement(8, ("plugin", "quota"), "maildir"),
    ]


PIECES = [
    "plugin",
    "a",
    "b",
    "{",
    "}",
    " ",
    "\n",
    "\n",
    "=",
    "#",
    '"',
    "'",
    "\\",
    "\\\n",
    "é",
    "\t",
]
rough_texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
# Of settings that Dovecot knows everywhere, so that only the form can be wrong.
GREETINGS = ["b", "'}'", '"{', "b \\", "b # {", "# {"]
lines = st.sampled_from(
    ["plugin {", "}", "  # c", "", "} # c", *(f"login_greeting = {g}" for g in GREETINGS)]
)
likely_texts = st.lists(lines, max_size=10).map("\n".join)


@settings(max_examples=300)
@given(text=rough_texts | likely_texts)
def test_dovecot_finds_the_form_right_wherever_we_do(text: str) -> None:
    if not find_problems(text):
        assert not is_form(dovecots_error(text))


@settings(max_examples=200)
@given(text=likely_texts)
def test_we_find_the_form_right_wherever_dovecot_does_and_drops_nothing(text: str) -> None:
    findings = find_problems(text)
    if not all("continues nothing" in message for _, message in findings):
        assert dovecots_error(text)


@settings(max_examples=200)
@given(text=rough_texts | likely_texts)
def test_text_without_finding_swallows_nothing_that_follows(text: str) -> None:
    if find_problems(text):
        return
    mark = "login_greeting = what follows"
    with private_dovecot("imap") as dovecot:
        dovecot.write_local_conf(f"{text}\n{mark}\nno_such_setting = 1\n")
        number = text.count("\n") + 3
        said = dovecot.find_error()
    # Dovecot stops at the first error: at our unknown setting, on the top level, or before.
    assert said == f"line {number}: Unknown setting: no_such_setting" or not is_form(said)
