"""What `user-patches.sh` does when Postfix is not set up as it expects, or a write fails."""

import re
from collections.abc import Iterator

import pytest
from tests.programs.mail_programs import MAIN_CF, MASTER_CF, SHARED_CACHE, Postfix, private_postfix

from mailproxy.api.mail_services import Listeners, PortName, find_services
from mailproxy.plan.mail_server.overrides import render_overrides


def user_patches(*names: PortName) -> str:
    return render_overrides(Listeners.SEPARATE, find_services(names))["user-patches.sh"]


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with private_postfix() as postfix:
        yield postfix


def proxy_entries(postfix: Postfix) -> set[str]:
    ours = {"12525/inet", "smtpd-proxy/pass", "10587/inet", "10465/inet"}
    return set(postfix.programs_by_service()) & ours


@pytest.mark.parametrize(
    ("missing", "reason", "open_entries"),
    [
        (r"submission inet", "submission/inet that runs smtpd", "12525 10465"),
        (r"submissions inet", "submissions/inet that runs smtpd", "12525 10587"),
        (r"smtp +inet", "smtp/inet that runs postscreen", "10587 10465"),
        (r"smtpd +pass", "smtpd/pass that runs smtpd", "10587 10465"),
    ],
)
def test_a_missing_service_closes_its_port_and_no_other(
    postfix: Postfix, missing: str, reason: str, open_entries: str
) -> None:
    postfix.run_script(user_patches(*PortName))
    text = postfix.master_cf.read_text()
    postfix.master_cf.write_text(re.sub(rf"(?m)^{missing}.*\n(  .*\n)*", "", text))
    result = postfix.run_script(user_patches(*PortName))
    assert result.returncode == 1
    assert f"mailproxy: master.cf has no service {reason}\n" in result.stderr
    expected = {f"{port}/inet" for port in open_entries.split()}
    assert proxy_entries(postfix) - {"smtpd-proxy/pass"} == expected
    assert ("smtpd-proxy/pass" in proxy_entries(postfix)) == ("12525/inet" in expected)
    for port in {"12525", "10587", "10465"} - set(open_entries.split()):
        assert re.search(rf"mailproxy: port {port} \(\w+\) stays closed\n", result.stderr)


def test_port_25_has_no_copy_when_no_service_can_share_its_cache(postfix: Postfix) -> None:
    postfix.write_main_cf(MAIN_CF)
    postfix.master_cf.write_text(re.sub(r"(?m)^proxywrite.*\n", "", MASTER_CF))
    result = postfix.run_script(user_patches(PortName.SMTP, PortName.SUBMISSION))
    assert result.returncode == 1
    assert "master.cf has no service proxywrite/unix that runs proxymap" in result.stderr
    assert proxy_entries(postfix) == {"10587/inet"}
    assert postfix.main_cf.read_text() == MAIN_CF


def test_a_command_that_is_not_what_we_copy_is_refused(postfix: Postfix) -> None:
    postfix.master_cf.write_text(
        re.sub(
            r"(?m)^(submission inet .*) smtpd$", r"\1 spawn user=nobody argv=/bin/cat", MASTER_CF
        )
    )
    assert postfix.run_script(user_patches(PortName.SUBMISSION)).returncode == 1
    assert proxy_entries(postfix) == set()


@pytest.mark.parametrize(
    ("when", "open_entries"),
    [
        ("'-M '*12525/inet=*", {"10587/inet", "10465/inet"}),
        ("'-M 10587/inet='*", {"12525/inet", "smtpd-proxy/pass", "10465/inet"}),
        ("postscreen_cache_map*", {"10587/inet", "10465/inet"}),
        ("'-h postscreen_cache_map'", {"10587/inet", "10465/inet"}),
        ("'-M '*=*", set()),
    ],
)
def test_a_failing_write_leaves_no_entry_without_hardening(
    postfix: Postfix, when: str, open_entries: set[str]
) -> None:
    postfix.run_script(user_patches(*PortName))
    postfix.write_main_cf(MAIN_CF)
    postfix.break_postconf(when=when)
    result = postfix.run_script(user_patches(*PortName))
    assert result.returncode == 1
    assert "stays closed" in result.stderr
    assert proxy_entries(postfix) == open_entries
    for entry in open_entries:
        assert postfix.parameters(entry)[entry]["mynetworks"] == ""


def test_nothing_is_changed_when_old_entries_cannot_be_removed(postfix: Postfix) -> None:
    postfix.break_postconf(when="-MX*")
    result = postfix.run_script(user_patches(*PortName))
    assert result.returncode == 1
    assert "master.cf cannot be written" in result.stderr
    assert (postfix.master_cf.read_text(), postfix.main_cf.read_text()) == (
        MASTER_CF,
        MAIN_CF + SHARED_CACHE,
    )
