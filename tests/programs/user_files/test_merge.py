"""A user's files and ours in one, judged by Dovecot and Postfix: both are effective."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programs.mail_programs import Dovecot, Postfix, private_dovecot, private_postfix
from tests.programs.user_files.test_dovecot_grammar import likely_texts, rough_texts

from mailproxy.api.mail_services import Listeners, PortName, find_services
from mailproxy.plan.mail_server.overrides import render_overrides
from mailproxy.plan.user_files.dovecot_grammar import read_dovecot
from mailproxy.plan.user_files.dovecot_rules import Listening, inspect_dovecot
from mailproxy.plan.user_files.merge import merge_overrides

OWN_DOVECOT = """\
# mine
mail_max_userip_connections = 50
service imap-login {
  process_min_avail = 3
  inet_listener own {
    port = 1143
  }
}"""
OWN_MASTER = "submission/inet/smtpd_helo_required=yes\nsmtpd/pass/smtpd_hard_error_limit=3"


def merge(listeners: Listeners, **users: str) -> dict[str, str]:
    """The files for all services beside the user's, whose names are written with `__` and `_`."""
    ours = render_overrides(listeners, find_services(PortName))
    named = {key.replace("__", "-").replace("_", "."): text for key, text in users.items()}
    return merge_overrides(ours, named, "own")


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with private_dovecot() as dovecot:
        yield dovecot


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with private_postfix() as postfix:
        yield postfix


@pytest.mark.parametrize("listeners", Listeners)
def test_without_files_of_the_users_ours_are_as_they_were(listeners: Listeners) -> None:
    assert merge(listeners) == render_overrides(listeners, find_services(PortName))


@pytest.mark.parametrize("end", ["", "\n", "\n\n# the end"])
@pytest.mark.parametrize("listeners", Listeners)
def test_dovecot_has_the_users_settings_and_ours(
    dovecot: Dovecot, listeners: Listeners, end: str
) -> None:
    dovecot.copy_overrides(merge(listeners)["dovecot.cf"])
    ours = dovecot.listeners()
    merged = merge(listeners, dovecot_cf=OWN_DOVECOT + end)["dovecot.cf"]
    dovecot.copy_overrides(merged)
    found = dovecot.settings()
    assert found["mail_max_userip_connections"] == "50"
    assert found["service imap-login"]["process_min_avail"] == "3"
    assert dovecot.listeners() == ours | {"own": {"port": "1143"}}


def test_ours_win_over_the_users(dovecot: Dovecot) -> None:
    merged = merge(Listeners.SEPARATE, dovecot_cf="haproxy_trusted_networks = 10.0.0.0/8\n")
    dovecot.copy_overrides(merged["dovecot.cf"])
    assert dovecot.settings().get("haproxy_trusted_networks", "") == ""


def test_dovecot_counts_lines_as_the_user_does(dovecot: Dovecot) -> None:
    merged = merge(Listeners.SEPARATE, dovecot_cf="\n\nno_such_setting = 1\n")
    dovecot.copy_overrides(merged["dovecot.cf"])
    assert dovecot.find_error() == "line 3: Unknown setting: no_such_setting"


@settings(max_examples=150)
@given(text=rough_texts | likely_texts, listeners=st.sampled_from(Listeners))
def test_whatever_text_is_taken_our_listeners_are_there(text: str, listeners: Listeners) -> None:
    statements, findings = read_dovecot(text)
    services = tuple(find_services(PortName))
    listening = Listening(listeners, services, frozenset(s.proxy_port for s in services))
    if findings or inspect_dovecot(statements, listening):
        return
    with private_dovecot("imap") as dovecot:
        dovecot.copy_overrides(merge(listeners)["dovecot.cf"])
        ours = dovecot.listeners()
        merged = merge(listeners, dovecot_cf=text)["dovecot.cf"]
        dovecot.copy_overrides(merged)
        if said := dovecot.find_error():  # of a setting of the user's that there is not
            assert int(said.removeprefix("line ").partition(":")[0]) <= text.count("\n") + 1
        else:
            assert dovecot.listeners() == ours


def test_shared_master_cf_has_the_users_parameters_and_ours(postfix: Postfix) -> None:
    merged = merge(Listeners.SHARED, postfix__master_cf=OWN_MASTER)
    result = postfix.apply_master_overrides(merged["postfix-master.cf"])
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    found = postfix.parameters()
    assert found["submission/inet"]["smtpd_helo_required"] == "yes"
    assert found["submission/inet"]["smtpd_upstream_proxy_protocol"] == "haproxy"
    assert found["smtpd/pass"]["smtpd_hard_error_limit"] == "3"
    assert found["smtpd/pass"]["mynetworks"] == ""


def test_separate_ports_are_copies_with_the_users_parameters(postfix: Postfix) -> None:
    merged = merge(Listeners.SEPARATE, postfix__master_cf=OWN_MASTER)
    postfix.apply_master_overrides(f"{merged['postfix-master.cf']}\n")
    assert postfix.run_script(merged["user-patches.sh"]).returncode == 0
    found = postfix.parameters()
    assert found["10587/inet"]["smtpd_helo_required"] == "yes"
    assert found["smtpd-proxy/pass"]["smtpd_hard_error_limit"] == "3"
    assert found["smtpd-proxy/pass"]["mynetworks"] == ""


@pytest.mark.parametrize(
    ("listeners", "file"),
    [
        (Listeners.SEPARATE, "postfix-master.cf"),
        (Listeners.SEPARATE, "postfix-main.cf"),
        (Listeners.SHARED, "postfix-main.cf"),
    ],
)
def test_file_that_only_the_user_has_stays_as_it_is(listeners: Listeners, file: str) -> None:
    text = "# mine, without an end"
    ours = render_overrides(listeners, find_services(PortName))
    assert merge_overrides(ours, {file: text}, "own") == ours | {file: text}


def test_shared_brings_a_script_where_dovecot_has_to_be_checked() -> None:
    assert set(merge(Listeners.SHARED, dovecot_cf="# mine\n")) == {
        *("dovecot.cf", "postfix-master.cf", "user-patches.sh")
    }
