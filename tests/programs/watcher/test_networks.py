"""Which words the watcher accepts as networks, compared with Python's `ipaddress`."""

import subprocess
from ipaddress import IPv4Network, IPv6Network, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programs.mail_programs import find_program

from mailproxy.api.networks import WIDEST_IPV4, WIDEST_IPV6
from mailproxy.plan.mail_server.templates import load_watcher

IS_NETWORK = """
while IFS= read -r word; do
  if is_network "${word}"; then echo yes; else echo no; fi
done
"""

ipv4 = st.builds(
    IPv4Network, st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), st.just(False)
)
ipv6 = st.builds(
    IPv6Network, st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)), st.just(False)
)
mapped = st.integers(0, 2**32 - 1).map(lambda low: str(IPv6Network(0xFFFF << 32 | low)))
canonical = (ipv4 | ipv6).map(str)
exploded = ipv6.map(lambda network: network.exploded)
bare = canonical.map(lambda text: text.partition("/")[0])
octets = st.integers(0, 300).map(str) | st.sampled_from(["", "00", "01", "1e1", "-1", "+1", " 1"])
dotted = st.lists(octets, min_size=3, max_size=5).map(".".join)
groups = st.sampled_from(["", "0", "1", "ffff", "FFFF", "12345", "g", "1.2.3.4", "fe80%x", "0000"])
colons = st.lists(groups, min_size=1, max_size=10).map(":".join)
lengths = st.integers(-1, 130).map(str) | st.sampled_from(["", "08", "0", "255.0.0.0", "x", "1/1"])
odd = st.builds("{}/{}".format, bare | dotted | colons, lengths)
words = canonical | exploded | bare | mapped | dotted | colons | odd


def is_acceptable(word: str) -> bool:
    """Whether it should be accepted: a narrow network in lower case, without host bits."""
    try:
        network = ip_network(word)
    except ValueError:
        return False
    address, _, length = word.partition("/")
    if word != word.lower() or "%" in word or length != length.lstrip("0"):
        return False
    if isinstance(network, IPv4Network):
        return network.prefixlen >= WIDEST_IPV4 and set(length) <= set("0123456789")
    is_mapped = network.network_address.ipv4_mapped is not None
    return network.prefixlen >= WIDEST_IPV6 and not is_mapped and "." not in address


def decide(candidates: list[str]) -> list[bool]:
    """The watcher's decisions."""
    program = load_watcher()
    functions = program[: program.index("start() {")]
    result = subprocess.run(
        [find_program("bash"), "-c", functions + IS_NETWORK],
        input="".join(f"{word}\n" for word in candidates),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return [line == "yes" for line in result.stdout.splitlines()]


@settings(max_examples=60, deadline=None)
@given(candidates=st.lists(words, min_size=20, max_size=60))
def test_word_is_accepted_if_it_is_a_network_that_the_operator_may_write(
    candidates: list[str],
) -> None:
    assert dict(zip(candidates, decide(candidates), strict=True)) == {
        word: is_acceptable(word) for word in candidates
    }


def test_words_that_end_dovecots_list_or_open_it_to_all_are_rejected() -> None:
    rejected = [
        *(
            "10.0.0.999",
            "10.0.0.1/33",
            "proxy.edge.svc",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/7",
            "2001::/16",
        ),
        *("::ffff:10.0.0.1", "::ffff:a00:1", "fe80::1%eth0", "10.0.0.1/24", "2001:db8::1/64"),
        *("10.0.0.1\t10.0.0.2", "", " ", "10.0.0.1;", "$(id)", "[::1]", "010.0.0.1", "1::2::3"),
        *(":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:2:3:4:5:6:7:8::", "::1::", ":::", ":"),
    ]
    assert not any(decide(rejected))
    accepted = [
        "10.0.0.0/8",
        "10.0.0.1",
        "10.0.0.1/32",
        "::",
        "::1",
        "1::",
        "2001:db8::/32",
        "fd00::3/128",
    ]
    assert all(decide(accepted))
