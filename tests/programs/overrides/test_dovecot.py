"""What Dovecot makes of `dovecot.cf` and of the trusted networks, by `doveconf` itself."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programs.mail_programs import Dovecot, private_dovecot

from mailproxy.api.mail_services import Daemon, Listeners, PortName, find_services
from mailproxy.plan.mail_server.overrides import render_overrides
from mailproxy.plan.trust.files import MAX_TRUST_CHARACTERS, render_trust

LOGINS = {Daemon.IMAP_LOGIN, Daemon.POP3_LOGIN, Daemon.MANAGESIEVE_LOGIN}
service_sets = st.sets(st.sampled_from(PortName))


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with private_dovecot() as dovecot:
        yield dovecot


def override(dovecot: Dovecot, listeners: Listeners, names: Iterable[PortName] = PortName) -> None:
    files = render_overrides(listeners, find_services(names))
    dovecot.copy_overrides(files["dovecot.cf"])


def mount(dovecot: Dovecot, *networks: str) -> None:
    dovecot.mount_trust(render_trust(map(ip_network, networks)))


def trusted(dovecot: Dovecot) -> list[str]:
    """The words of Dovecot's list; nobody is trusted by an empty one, as by none at all."""
    value = dovecot.settings().get("haproxy_trusted_networks", "")
    assert isinstance(value, str)
    return value.split(" ") if value else []


@settings(max_examples=15, deadline=None)
@given(names=service_sets)
def test_separate_adds_a_proxy_listener_per_chosen_service_and_leaves_the_rest(
    names: set[PortName],
) -> None:
    with private_dovecot() as dovecot:
        expected = dovecot.listeners()
        override(dovecot, Listeners.SEPARATE, names)
        expected["sieve_deprecated"] = {"port": "0"}
        for service in find_services(names):
            if service.daemon in LOGINS:
                expected[f"{service.listener}_proxy"] = {
                    "haproxy": "yes",
                    "port": str(service.proxy_port),
                    "ssl": "yes" if service.implicit_tls else "no",
                }
        assert dovecot.listeners() == expected


@settings(max_examples=15, deadline=None)
@given(names=service_sets)
def test_shared_expects_the_header_on_the_chosen_stock_listeners_only(
    names: set[PortName],
) -> None:
    with private_dovecot() as dovecot:
        expected = dovecot.listeners()
        override(dovecot, Listeners.SHARED, names)
        expected["sieve_deprecated"] = {"port": "0"}
        for service in find_services(names):
            if service.daemon in LOGINS:
                expected[service.listener] |= {"haproxy": "yes"}
        assert dovecot.listeners() == expected


@pytest.mark.parametrize("protocols", ["imap", "imap pop3", "imap sieve", "pop3"])
@pytest.mark.parametrize("listeners", Listeners)
def test_services_that_are_switched_off_do_no_harm(listeners: Listeners, protocols: str) -> None:
    with private_dovecot(protocols) as dovecot:
        override(dovecot, listeners)
        assert dovecot.settings()["protocols"] == protocols


@pytest.mark.parametrize("listeners", Listeners)
@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        (["10.1.2.3/32"], ["10.1.2.3"]),
        (["2001:db8::7/128"], ["2001:db8::7"]),
        (
            ["2001:db8::/64", "10.1.2.3/32", "10.0.0.0/24", "9.9.9.9/32"],
            ["9.9.9.9", "10.0.0.0/24", "10.1.2.3", "2001:db8::/64"],
        ),
    ],
)
def test_dovecot_reads_the_mounted_list(
    dovecot: Dovecot, listeners: Listeners, networks: list[str], expected: list[str]
) -> None:
    override(dovecot, listeners)
    mount(dovecot, *networks)
    assert trusted(dovecot) == expected


@pytest.mark.parametrize("listeners", Listeners)
def test_nobody_is_trusted_without_a_mount(dovecot: Dovecot, listeners: Listeners) -> None:
    override(dovecot, listeners)
    assert not trusted(dovecot)


@pytest.mark.parametrize("mounted", [True, False])
def test_networks_that_a_user_trusts_elsewhere_do_not_count(
    dovecot: Dovecot, mounted: bool
) -> None:
    dovecot.add_user_settings("haproxy_trusted_networks = 10.0.0.0/8\n")
    assert trusted(dovecot) == ["10.0.0.0/8"]
    override(dovecot, Listeners.SEPARATE)
    if mounted:
        mount(dovecot, "10.1.2.3/32", "10.1.2.4/32")
    assert trusted(dovecot) == (["10.1.2.3", "10.1.2.4"] if mounted else [])


def test_an_empty_list_takes_the_place_of_the_last_one(dovecot: Dovecot) -> None:
    override(dovecot, Listeners.SEPARATE)
    mount(dovecot, "10.1.2.3/32", "10.1.2.4/32")
    assert trusted(dovecot) == ["10.1.2.3", "10.1.2.4"]
    mount(dovecot)
    assert not trusted(dovecot)


def test_dovecot_reads_the_longest_list_that_is_rendered(dovecot: Dovecot) -> None:
    override(dovecot, Listeners.SEPARATE)
    longest = str(IPv6Address(2**128 - 1))
    number = (MAX_TRUST_CHARACTERS + 1) // (len(longest) + 1)
    mount(dovecot, *(f"{IPv6Address(2**128 - 1 - n)}/128" for n in range(number)))
    assert len(trusted(dovecot)) == number


def test_dovecot_reads_thousands_of_ipv4_addresses(dovecot: Dovecot) -> None:
    override(dovecot, Listeners.SEPARATE)
    mount(dovecot, *(f"{IPv4Address(0xC0A80000 + n)}/32" for n in range(5000)))
    assert len(trusted(dovecot)) == 5000
