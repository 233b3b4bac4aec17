"""Our reading of `postfix-main.cf` and `postfix-master.cf`, judged by Postfix's own."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programs.mail_programs import MAIN_CF, SHARED_CACHE, private_postfix

from mailproxy.plan.user_files.postfix_grammar import (
    MainParameter,
    MasterParameter,
    read_main,
    read_master,
)

MASTER_LINES = [
    ("submission/inet/smtpd_helo_required=yes", "submission", "inet", "yes"),
    ("  submission/inet/smtpd_helo_required = yes\t", "submission", "inet", "yes"),
    ("submission/inet/smtpd_helo_required=", "submission", "inet", ""),
    ("submission/*/smtpd_helo_required=a=b,c", "submission", "*", "a=b,c"),
    ("127.0.0.1:10025/inet/smtpd_helo_required=no", "127.0.0.1:10025", "inet", "no"),
]
LOST_MASTER_LINES = [
    "submission inet n - n - - smtpd",
    "-o smtpd_helo_required=yes",
    "Submission/inet/smtpd_helo_required=yes",
    "*/inet/smtpd_helo_required=yes",
    "submission/smtpd_helo_required=yes",
    "submission/inet/smtpd_helo_required",
    "submission/inet/a/b=c",
    "submission/inet/=yes",
    "submission/inet/*=yes",
    "subm*/inet/smtpd_helo_required=yes",
    "submission /inet/smtpd_helo_required=yes",
    "submission/inet/smtpd_client_restrictions=permit_mynetworks, reject",
    "submission/inet/smtpd_client_restrictions={a b}",
]
GOOD_MAIN = [
    ("", []),
    ("# nothing\n\n   # at all\n", []),
    ("a_b = 1\nc=2", [MainParameter(1, "a_b", "1"), MainParameter(2, "c", "2")]),
    (
        "a =\n# why\n\n  1,\n\t2\nb = 3 # 4\n",
        [MainParameter(1, "a", "1, 2"), MainParameter(6, "b", "3 # 4")],
    ),
    ("mynetworks = a = b\n", [MainParameter(1, "mynetworks", "a = b")]),
]
BAD_MAIN = [
    ("mynetworks\n", 1),
    ("a = 1\nmy networks = x\n", 2),
    ("= x\n", 1),
    ("a: b = x\n", 1),
    ("a = 1 \\\nb\n", 2),
    ("a = 1\nmyhostname = mail.$\n", 2),
    ("myhostname = ${mydomain\n", 1),
    ("# why\n  10.0.0.0/8\n", 2),
]


def apply_main(text: str) -> subprocess.CompletedProcess[str]:
    """Append to `main.cf` and read it all, the way docker-mailserver does."""
    with private_postfix() as postfix:
        postfix.write_main_cf(f"{MAIN_CF}{SHARED_CACHE}{text}")
        return postfix.run_script("postconf -n")


@pytest.mark.parametrize(("line", "service", "type_", "value"), MASTER_LINES)
def test_line_for_a_service_is_read_as_postfix_does(
    line: str, service: str, type_: str, value: str
) -> None:
    parameters, findings = read_master(f"# why\n\n{line}\n")
    assert findings == []
    assert parameters == [MasterParameter(3, service, type_, "smtpd_helo_required", value)]
    with private_postfix() as postfix:
        result = postfix.apply_master_overrides(f"{line}\n")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        entry = f"{service}/inet"
        assert postfix.parameters(entry)[entry]["smtpd_helo_required"] == value


@pytest.mark.parametrize("line", LOST_MASTER_LINES)
def test_line_that_would_be_lost_has_a_finding(line: str) -> None:
    _, findings = read_master(f"\n{line}\n")
    assert [finding.line for finding in findings] == [2]
    with private_postfix() as postfix:
        before = postfix.master_cf.read_text()
        postfix.apply_master_overrides(f"{line}\n")
        assert postfix.master_cf.read_text() == before


def test_last_line_without_an_end_is_a_line_too() -> None:
    assert [p.value for p in read_master("a/inet/b=1\na/inet/c=2")[0]] == ["1", "2"]


master_lines = st.lists(
    st.sampled_from(
        ["submission", "/", "inet", "*", "=", " ", "smtpd_banner", "#", "{", "\\", "$"]
    ),
    max_size=8,
).map("".join) | st.builds(
    "submission/{}/smtpd_banner{}{}".format,
    st.sampled_from(["inet", "*", "unix"]),
    st.sampled_from(["=", " = ", "= "]),
    st.text("ab{}()\\#=,$?:'\" \té", max_size=6),
)


@settings(max_examples=100)
@given(line=master_lines)
def test_line_without_finding_leaves_master_cf_whole_and_what_follows_effective(line: str) -> None:
    if read_master(line)[1]:
        return
    with private_postfix() as postfix:
        postfix.apply_master_overrides(f"{line}\nsmtpd/pass/mynetworks=\n")
        said = postfix.run_script("postconf -P smtpd/pass")
        assert (said.returncode, said.stdout) == (0, "smtpd/pass/mynetworks =\n")


@pytest.mark.parametrize(("text", "expected"), GOOD_MAIN)
def test_main_cf_is_read_in_logical_lines(text: str, expected: list[MainParameter]) -> None:
    assert read_main(text) == (expected, [])
    assert apply_main(text).returncode == 0


@pytest.mark.parametrize(("text", "line"), BAD_MAIN)
def test_finding_of_main_cf_names_its_line(text: str, line: int) -> None:
    assert [finding.line for finding in read_main(text)[1]] == [line]


@pytest.mark.parametrize("text", [text for text, _ in BAD_MAIN[:-1]])
def test_postfix_reads_nothing_at_all_where_main_cf_has_a_finding(text: str) -> None:
    result = apply_main(text)
    assert (result.returncode, result.stdout) == (1, "")


def test_postfix_takes_a_line_with_a_blank_for_a_part_of_its_own() -> None:
    assert "postscreen_cache 10.0.0.0/8" in apply_main(BAD_MAIN[-1][0]).stdout


main_texts = st.lists(
    st.sampled_from(
        [
            "a_b",
            "myhostname",
            "=",
            " = ",
            "\n",
            " ",
            "#",
            "\t",
            "$",
            "{",
            "}",
            "(",
            "\\",
            "é",
            ":",
            "?",
        ]
    ),
    max_size=20,
).map("".join)


@settings(max_examples=100)
@given(text=main_texts)
def test_postfix_reads_main_cf_wherever_we_find_nothing(text: str) -> None:
    if not read_main(text)[1]:
        assert apply_main(text).returncode == 0
