"""What Postfix makes of `postfix-master.cf`, by `postconf` itself."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programs.mail_programs import MAIN_CF, SHARED_CACHE, private_postfix

from mailproxy.api.mail_services import Listeners, PortName, find_services
from mailproxy.plan.mail_server.overrides import render_overrides

NO_PRIVILEGES = {
    "mynetworks": "",
    "smtpd_authorized_xclient_hosts": "",
    "smtpd_authorized_xforward_hosts": "",
}
service_sets = st.sets(st.sampled_from(PortName))


def master_overrides(*names: PortName) -> str:
    return render_overrides(Listeners.SHARED, find_services(names))["postfix-master.cf"]


@settings(max_examples=20, deadline=None)
@given(names=service_sets)
def test_shared_sets_parameters_of_the_chosen_services_only(names: set[PortName]) -> None:
    with private_postfix() as postfix:
        expected = postfix.parameters()
        result = postfix.apply_master_overrides(master_overrides(*names))
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        if PortName.SMTP in names:
            expected["smtp/inet"] = {
                "postscreen_upstream_proxy_protocol": "haproxy",
                "mynetworks": "",
            }
            expected["smtpd/pass"] = NO_PRIVILEGES | {
                "smtpd_relay_restrictions": "permit_sasl_authenticated,reject_unauth_destination"
            }
        for name in {PortName.SUBMISSION, PortName.SUBMISSIONS} & names:
            expected[f"{name}/inet"] |= NO_PRIVILEGES
            expected[f"{name}/inet"]["smtpd_upstream_proxy_protocol"] = "haproxy"
        assert postfix.parameters() == expected
        assert postfix.main_cf.read_text() == MAIN_CF + SHARED_CACHE


def test_shared_adds_no_service() -> None:
    with private_postfix() as postfix:
        before = postfix.programs_by_service()
        postfix.apply_master_overrides(master_overrides(*PortName))
        assert postfix.programs_by_service() == before


def test_networks_that_a_user_gave_a_service_are_taken_away() -> None:
    with private_postfix() as postfix:
        postfix.postconf("-P", "smtpd/pass/mynetworks=10.0.0.0/8")
        postfix.postconf("-P", "submission/inet/mynetworks=10.0.0.0/8")
        postfix.apply_master_overrides(master_overrides(*PortName))
        for service in ("smtp/inet", "smtpd/pass", "submission/inet", "submissions/inet"):
            assert postfix.parameters(service)[service]["mynetworks"] == ""


def test_lines_of_shared_are_what_docker_mailserver_reads() -> None:
    text = master_overrides(*PortName)
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[0-9a-z]+/(inet|pass)/[a-z_]+=\S*", line)
