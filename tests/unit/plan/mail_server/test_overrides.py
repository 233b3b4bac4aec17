"""Overrides and trusted networks as text: what goes in, and that nothing else comes out."""

import random
import re
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproxy.api.mail_services import (
    MAIL_SERVICES,
    Listeners,
    MailService,
    PortName,
    find_services,
)
from mailproxy.api.networks import Network
from mailproxy.plan.mail_server.overrides import CHECKED_TRUST_PATH, render_overrides
from mailproxy.plan.metadata import hash_files
from mailproxy.plan.trust.files import MAX_TRUST_CHARACTERS, TRUST_FILE, render_trust

networks = st.one_of(
    st.builds(
        IPv4Network, st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)), st.just(False)
    ),
    st.builds(
        IPv6Network, st.tuples(st.integers(0, 2**128 - 1), st.integers(32, 128)), st.just(False)
    ),
)
file_sets = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3)
service_lists = st.lists(st.sampled_from(MAIL_SERVICES), max_size=20)


def trust_line(*cidrs: str) -> str:
    return render_trust(map(ip_network, cidrs))[TRUST_FILE]


@pytest.mark.parametrize(
    ("listeners", "names"),
    [
        (Listeners.SEPARATE, {"dovecot.cf", "user-patches.sh"}),
        (Listeners.SHARED, {"dovecot.cf", "postfix-master.cf", "user-patches.sh"}),
    ],
)
@given(services=service_lists)
def test_the_files_depend_on_the_listeners_alone(
    listeners: Listeners, names: set[str], services: list[MailService]
) -> None:
    assert set(render_overrides(listeners, services)) == names


@given(listeners=st.sampled_from(Listeners), services=service_lists)
def test_order_and_duplicates_of_services_do_not_matter(
    listeners: Listeners, services: list[MailService]
) -> None:
    in_order = find_services({service.name for service in services})
    assert render_overrides(listeners, services) == render_overrides(listeners, in_order)


@given(listeners=st.sampled_from(Listeners), services=service_lists)
def test_every_file_is_complete_plain_text(
    listeners: Listeners, services: list[MailService]
) -> None:
    for text in render_overrides(listeners, services).values():
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert "\n\n\n" not in text
        assert re.fullmatch(r"[\n\x20-\x7e]*", text)
        assert not re.search(r"(?m)[ \t]$|\{%|\{\{|^.{101}", text)


@given(services=service_lists)
def test_only_the_chosen_services_expect_a_header(services: list[MailService]) -> None:
    chosen = {service.name for service in services}
    text = "".join(render_overrides(Listeners.SHARED, services).values())
    found = set(re.findall(r"(?m)^(\w+)/inet/\w+_upstream_proxy_protocol=haproxy$", text))
    found |= set(re.findall(r"inet_listener (\w+) \{\n +haproxy = yes", text))
    assert found == {service.listener for service in MAIL_SERVICES if service.name in chosen}


def test_a_row_that_is_not_in_the_table_reaches_no_file() -> None:
    row = find_services([PortName.IMAP])[0]
    forged = MailService(row.name, row.port, 1, row.service_port, row.daemon, "x; reboot")
    for listeners in Listeners:
        assert render_overrides(listeners, [forged]) == render_overrides(listeners, [row])


def test_nobody_is_trusted_until_the_list_is_included() -> None:
    for listeners in Listeners:
        text = render_overrides(listeners, [])["dovecot.cf"]
        assert f"\nhaproxy_trusted_networks =\n!include_try {CHECKED_TRUST_PATH}\n" in text
        assert text.count("haproxy_trusted_networks") == 1


def test_an_empty_list_trusts_nobody() -> None:
    assert render_trust([]) == {"dovecot-trust.conf": "haproxy_trusted_networks =\n"}


def test_ipv4_comes_first_and_numbers_are_sorted_as_numbers() -> None:
    assert trust_line("2001:db8::a/128", "10.0.0.10/32", "::1/128", "10.0.0.9/32") == (
        "haproxy_trusted_networks = 10.0.0.9 10.0.0.10 ::1 2001:db8::a\n"
    )


def test_neighbours_and_networks_in_networks_are_kept_apart() -> None:
    assert trust_line("10.0.0.0/32", "10.0.0.1/32", "10.0.0.0/31", "10.0.0.1/32") == (
        "haproxy_trusted_networks = 10.0.0.0/31 10.0.0.0 10.0.0.1\n"
    )


@given(trusted=st.lists(networks, max_size=30), seed=st.integers())
def test_order_and_duplicates_of_networks_do_not_matter(trusted: list[Network], seed: int) -> None:
    shuffled = trusted * 2
    random.Random(seed).shuffle(shuffled)
    assert render_trust(iter(shuffled)) == render_trust(trusted)


@given(trusted=st.lists(networks, max_size=30))
def test_the_list_is_one_line_of_exactly_the_networks(trusted: list[Network]) -> None:
    (text,) = render_trust(trusted).values()
    match = re.fullmatch(r"haproxy_trusted_networks =((?: [0-9a-f.:/]+)*)\n", text)
    assert match is not None
    words = match[1].split()
    assert len(words) == len(set(words))
    assert {ip_network(word) for word in words} == set(trusted)
    for word, network in zip(words, map(ip_network, words), strict=True):
        assert word in (str(network), str(network.network_address))
        assert ("/" in word) == (network.num_addresses > 1)


@pytest.mark.parametrize(
    "cidr", ["fe80::1%eth0/128", "fe80::%x 10.0.0.0/32", "fe80::1%x\n!include y"]
)
def test_text_cannot_hide_in_the_zone_of_an_address(cidr: str) -> None:
    with pytest.raises(ValueError, match="an address with a zone cannot be trusted"):
        trust_line("10.0.0.1/32", cidr)


def test_a_list_that_dovecot_could_not_take_is_refused() -> None:
    fits = MAX_TRUST_CHARACTERS // len("10.100.100.100 ")
    many = [ip_network((0x0A646464 + n, 32)) for n in range(2 * fits)]
    render_trust(many[:fits])
    with pytest.raises(ValueError, match=f"more than the {MAX_TRUST_CHARACTERS} that Dovecot"):
        render_trust(many)


@given(file_sets, file_sets)
def test_fingerprints_are_equal_for_equal_files_only(
    files: dict[str, str], others: dict[str, str]
) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", hash_files(files))
    assert hash_files(files) == hash_files(dict(reversed(files.items())))
    assert (hash_files(files) == hash_files(others)) == (files == others)


def test_a_fingerprint_tells_names_from_contents() -> None:
    assert hash_files({"a": "bc"}) != hash_files({"ab": "c"})
    assert hash_files({"a": "b", "c": "d"}) != hash_files({"a": "d", "c": "b"})
    assert hash_files({}) != hash_files({"": ""})
