"""PROXY protocol headers against the bytes that the specification gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.e2e.proxy_header import (
    SIGNATURE,
    Command,
    Endpoint,
    Mutation,
    Tlv,
    Transport,
    mutations,
    ssl_tlv,
    tlv,
    truncations,
    version_1,
    version_1_unknown,
    version_2,
    version_2_local,
    version_2_unix,
    version_2_unspec,
)

CLIENT, SERVER = Endpoint("192.0.2.7", 40000), Endpoint("198.51.100.1", 25)
CLIENT6, SERVER6 = Endpoint("2001:db8::7", 40000), Endpoint("2001:db8::1", 25)
VALID = [version_1(CLIENT, SERVER), version_2(CLIENT, SERVER), version_2(CLIENT6, SERVER6)]


def test_the_signature_is_that_of_the_specification() -> None:
    assert SIGNATURE.hex() == "0d0a0d0a000d0a515549540a"


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (version_1(CLIENT, SERVER), b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n"),
        (version_1(CLIENT6, SERVER6), b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n"),
        (version_1_unknown(), b"PROXY UNKNOWN\r\n"),
        (version_1_unknown("a b 1 2"), b"PROXY UNKNOWN a b 1 2\r\n"),
    ],
)
def test_version_1_is_a_line(header: bytes, line: bytes) -> None:
    assert header == line


@pytest.mark.parametrize(
    ("header", "rest"),
    [
        (version_2(CLIENT, SERVER), "21 11 000c c0000207 c6336401 9c40 0019"),
        (
            version_2(CLIENT6, SERVER6),
            "21 21 0024 20010db8000000000000000000000007 20010db8000000000000000000000001 9c400019",
        ),
        (
            version_2(CLIENT, SERVER, transport=Transport.DGRAM),
            "21 12 000c c0000207 c6336401 9c40 0019",
        ),
        (
            version_2(CLIENT, SERVER, command=Command.LOCAL),
            "20 11 000c c0000207 c6336401 9c40 0019",
        ),
        (
            version_2(CLIENT, SERVER, tlv(Tlv.NOOP, b""), tlv(Tlv.ALPN, b"imap")),
            "21 11 0016 c0000207 c6336401 9c40 0019 04 0000 01 0004 696d6170",
        ),
        (version_2_local(), "20 00 0000"),
        (version_2_unspec(), "21 00 0000"),
        (version_2_unix("/a", "/b"), "21 31 00d8 2f61" + "00" * 106 + "2f62" + "00" * 106),
    ],
)
def test_version_2_is_binary(header: bytes, rest: str) -> None:
    assert header == SIGNATURE + bytes.fromhex(rest)


@pytest.mark.parametrize(
    ("extension", "content"),
    [
        (ssl_tlv(), "20 000f 01 00000000 21 0007 544c5376312e33"),
        (ssl_tlv(verified=False), "20 000f 01 00000001 21 0007 544c5376312e33"),
        (ssl_tlv(common_name="me"), "20 0014 07 00000000 21 0007 544c5376312e33 22 0002 6d65"),
    ],
)
def test_the_tls_extension_holds_extensions(extension: bytes, content: str) -> None:
    assert extension == bytes.fromhex(content)


def test_addresses_of_two_families_make_no_header() -> None:
    with pytest.raises(ValueError, match="different families"):
        version_2(CLIENT, SERVER6)


def test_truncations_are_all_beginnings_but_the_whole() -> None:
    assert list(truncations(b"abc")) == [b"a", b"ab"]


@given(st.integers(), st.integers(min_value=0, max_value=200))
def test_a_seed_and_a_number_make_the_same_mutation_again(seed: int, number: int) -> None:
    *_, last = mutations(seed, number + 1, VALID)
    assert last == list(mutations(seed, number + 5, VALID))[number]
    assert isinstance(last, Mutation) and (last.seed, last.number) == (seed, number)


def test_no_mutation_is_a_valid_header_that_it_began_with() -> None:
    assert not {mutation.header for mutation in mutations(1, 2000, VALID)} & set(VALID)


def test_mutations_differ_from_each_other() -> None:
    headers = [mutation.header for mutation in mutations(1, 500, VALID)]
    assert len(set(headers)) > 400
