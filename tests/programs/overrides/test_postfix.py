"""What Postfix makes of `user-patches.sh`, by `postconf` itself."""

import re
import subprocess
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programs.mail_programs import (
    MAIN_CF,
    MASTER_CF,
    SHARED_CACHE,
    Postfix,
    find_program,
    private_postfix,
)

from mailproxy.api.mail_services import MAIL_SERVICES, Listeners, PortName, find_services
from mailproxy.plan.mail_server.overrides import render_overrides

NO_PRIVILEGES = {
    "mynetworks": "",
    "smtpd_authorized_xclient_hosts": "",
    "smtpd_authorized_xforward_hosts": "",
}
NO_RELAY = {"smtpd_relay_restrictions": "permit_sasl_authenticated,reject_unauth_destination"}
SMTPD_EXPECTS = {"smtpd_upstream_proxy_protocol": "haproxy"} | NO_PRIVILEGES
POSTFIX_NAMES = (PortName.SMTP, PortName.SUBMISSION, PortName.SUBMISSIONS)
PROXY_ENTRIES = {
    PortName.SMTP: {"12525/inet", "smtpd-proxy/pass"},
    PortName.SUBMISSION: {"10587/inet"},
    PortName.SUBMISSIONS: {"10465/inet"},
}
POSTFIX_CHOICES = [list(names) for n in range(4) for names in combinations(POSTFIX_NAMES, n)]
service_sets = st.sets(st.sampled_from(PortName))


def user_patches(*names: PortName) -> str:
    return render_overrides(Listeners.SEPARATE, find_services(names))["user-patches.sh"]


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with private_postfix() as postfix:
        yield postfix


def proxy_entries(postfix: Postfix) -> set[str]:
    ours = set(chain.from_iterable(PROXY_ENTRIES.values()))
    return set(postfix.programs_by_service()) & ours


@settings(max_examples=20, deadline=None)
@given(names=service_sets)
def test_separate_adds_the_entries_of_the_chosen_services_and_no_others(
    names: set[PortName],
) -> None:
    with private_postfix() as postfix:
        before = postfix.programs_by_service()
        result = postfix.run_script(user_patches(*names))
        assert result.returncode == 0
        added = set(chain.from_iterable(PROXY_ENTRIES.get(name, set()) for name in names))
        after = postfix.programs_by_service()
        assert set(after) - set(before) == added
        assert {service: after[service] for service in before} == before


@settings(max_examples=10, deadline=None)
@given(names=service_sets)
def test_second_run_changes_no_byte(names: set[PortName]) -> None:
    with private_postfix() as postfix:
        postfix.run_script(user_patches(*names))
        first = postfix.master_cf.read_bytes(), postfix.main_cf.read_bytes()
        postfix.run_script(user_patches(*names))
        assert (postfix.master_cf.read_bytes(), postfix.main_cf.read_bytes()) == first


@settings(max_examples=15, deadline=None)
@given(earlier=service_sets, later=service_sets)
def test_another_choice_gives_what_it_gives_alone(
    earlier: set[PortName], later: set[PortName]
) -> None:
    with private_postfix() as postfix, private_postfix() as alone:
        postfix.run_script(user_patches(*earlier))
        postfix.run_script(user_patches(*later))
        alone.run_script(user_patches(*later))
        assert postfix.master_cf.read_bytes() == alone.master_cf.read_bytes()


def test_each_parameter_is_set_for_its_service(postfix: Postfix) -> None:
    before = postfix.parameters()
    postfix.run_script(user_patches(*PortName))
    after = postfix.parameters()
    assert after.pop("12525/inet") == {
        "postscreen_upstream_proxy_protocol": "haproxy",
        "smtpd_service_name": "smtpd-proxy",
        "mynetworks": "",
        "postscreen_cache_cleanup_interval": "0",
        "syslog_name": "postfix-proxy",
    }
    assert after.pop("smtpd-proxy/pass") == (
        NO_PRIVILEGES | NO_RELAY | {"syslog_name": "postfix-proxy"}
    )
    for port, name in ((10587, "submission"), (10465, "submissions")):
        expected = SMTPD_EXPECTS | {"syslog_name": f"postfix/{name}proxy"}
        assert after.pop(f"{port}/inet") == before[f"{name}/inet"] | expected
    assert after == before


def test_main_cf_gets_the_shared_cache_and_nothing_else(postfix: Postfix) -> None:
    postfix.write_main_cf(MAIN_CF)
    postfix.run_script(user_patches(*PortName))
    assert postfix.main_cf.read_text() == MAIN_CF + SHARED_CACHE


def test_main_cf_is_left_alone_without_smtp(postfix: Postfix) -> None:
    postfix.write_main_cf(MAIN_CF)
    postfix.run_script(user_patches(PortName.SUBMISSION, PortName.SUBMISSIONS))
    assert postfix.main_cf.read_text() == MAIN_CF


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("btree:/var/lib/postfix/own", "proxy:btree:/var/lib/postfix/own"),
        ("proxy:btree:/var/lib/postfix/own", "proxy:btree:/var/lib/postfix/own"),
        ("memcache:/etc/postfix/cache", "memcache:/etc/postfix/cache"),
        ("lmdb:/var/lib/postfix/own", "lmdb:/var/lib/postfix/own"),
        ("", ""),
    ],
)
def test_a_cache_of_the_users_own_stays_theirs(postfix: Postfix, own: str, expected: str) -> None:
    postfix.write_main_cf(f"{MAIN_CF}postscreen_cache_map = {own}\n")
    assert postfix.run_script(user_patches(PortName.SMTP)).returncode == 0
    assert postfix.main_cf.read_text() == f"{MAIN_CF}postscreen_cache_map = {expected}\n"


def test_networks_that_a_user_gave_a_service_do_not_reach_its_copy(postfix: Postfix) -> None:
    postfix.postconf("-P", "submission/inet/mynetworks=10.0.0.0/8")
    text = postfix.master_cf.read_text()
    wide = "  -o { mynetworks = 10.0.0.0/8, 127.0.0.0/8 }\n"
    for service in ("smtp       inet", "smtpd      pass", "submissions inet"):
        start = text.index("\n", text.index(f"\n{service}") + 1) + 1
        text = text[:start] + wide + text[start:]
    postfix.master_cf.write_text(text)
    assert postfix.run_script(user_patches(*PortName)).returncode == 0
    found = postfix.parameters()
    for entry in chain.from_iterable(PROXY_ENTRIES.values()):
        assert found[entry]["mynetworks"] == ""
    assert found["smtpd/pass"]["mynetworks"] == "10.0.0.0/8, 127.0.0.0/8"
    # Postfix uses the last of several values, and so it has to be ours.
    for line in postfix.postconf("-M", "12525/inet", "smtpd-proxy/pass", "10587/inet").splitlines():
        assert re.findall(r"mynetworks=(\S*)", line)[-1] == ""


def test_options_of_the_users_own_are_copied(postfix: Postfix) -> None:
    postfix.postconf("-P", "submission/inet/smtpd_helo_required=yes")
    postfix.run_script(user_patches(PortName.SUBMISSION))
    assert postfix.parameters("10587/inet")["10587/inet"]["smtpd_helo_required"] == "yes"


def test_of_two_services_of_one_name_the_one_that_postfix_uses_is_copied(postfix: Postfix) -> None:
    with postfix.master_cf.open("a") as file:
        file.write("submission inet n - n - 7 smtpd -o smtpd_helo_required=yes\n")
    postfix.run_script(user_patches(PortName.SUBMISSION))
    copied = postfix.postconf("-M", "10587/inet").split()
    assert copied[6:10] == ["7", "smtpd", "-o", "smtpd_helo_required=yes"]


def test_entries_of_an_older_setup_are_replaced(postfix: Postfix) -> None:
    leftover = "10587 inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy\n"
    with postfix.master_cf.open("a") as file:
        file.write(leftover * 2)
    postfix.run_script(user_patches(PortName.SUBMISSION))
    assert postfix.parameters("10587/inet")["10587/inet"].items() >= SMTPD_EXPECTS.items()
    assert proxy_entries(postfix) == {"10587/inet"}


def test_port_25_without_postscreen_is_hardened_in_smtpd_itself(postfix: Postfix) -> None:
    postfix.master_cf.write_text(
        re.sub(r"(?m)^(smtp +inet .*) 1 +postscreen$", r"\1 - smtpd", MASTER_CF)
    )
    postfix.write_main_cf(MAIN_CF)
    result = postfix.run_script(user_patches(PortName.SMTP))
    assert result.returncode == 0
    assert proxy_entries(postfix) == {"12525/inet"}
    assert postfix.programs_by_service()["12525/inet"] == "smtpd"
    assert postfix.parameters("12525/inet")["12525/inet"] == (
        SMTPD_EXPECTS | NO_RELAY | {"syslog_name": "postfix-proxy"}
    )
    assert postfix.main_cf.read_text() == MAIN_CF


def test_the_log_names_every_port_that_was_added(postfix: Postfix) -> None:
    said = postfix.run_script(user_patches(*PortName)).stderr.splitlines()
    assert [line for line in said if ": port " in line] == [
        "mailproxy: port 12525 (smtp) expects the PROXY protocol",
        "mailproxy: port 10587 (submission) expects the PROXY protocol",
        "mailproxy: port 10465 (submissions) expects the PROXY protocol",
    ]


@pytest.mark.parametrize("program", ["bash -n", "shellcheck"])
@pytest.mark.parametrize("names", POSTFIX_CHOICES, ids=str)
def test_the_script_is_clean_shell(names: list[PortName], program: str, tmp_path: Path) -> None:
    path = tmp_path / "user-patches.sh"
    path.write_text(user_patches(*names))
    name, *options = program.split()
    result = subprocess.run(
        [find_program(name), *options, str(path)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_fail2ban_recognises_every_name_in_the_log(postfix: Postfix) -> None:
    # `_daemon` of filter.d/postfix.conf in Fail2ban 1.0.2, the strictest of those in use
    daemon = re.compile(r"postfix(-\w+)?/\w+(?:/smtp[ds])?")
    postfix.run_script(user_patches(*PortName))
    programs = postfix.programs_by_service()
    for entry in chain.from_iterable(PROXY_ENTRIES.values()):
        name = postfix.parameters(entry)[entry]["syslog_name"]
        assert daemon.fullmatch(f"{name}/{programs[entry]}")


def test_the_table_of_ports_names_every_entry_that_is_removed() -> None:
    removed = re.search(r"postconf -MX (.*);", user_patches())
    assert removed is not None
    ours = {f"{s.proxy_port}/inet" for s in MAIL_SERVICES if s.name in POSTFIX_NAMES}
    assert set(removed[1].split()) == ours | {"smtpd-proxy/pass"}
