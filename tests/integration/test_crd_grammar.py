"""Texts near the edges of our grammars, and whole specs, judged by CEL and by the model alike."""

import re
from ipaddress import ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mailproxy.api.mail_services import PortName
from mailproxy.api.mailproxy import MAX_NAME_LENGTH
from mailproxy.api.networks import MAX_NETWORK_LENGTH, NETWORK_RULES
from tests.controlplane.api import Api, Manifest
from tests.integration.test_crd_corpus import find_fields, find_model_refusal, find_server_refusal

LABELS = {"app": "mailserver"}
NOT_ALL_CHECKED = "some validation rules were not checked"
NETWORK_ERROR = re.compile(r'spec\.trust\.networks\[(\d+)\]: Invalid value: "(?:[^"\\]|\\.)*": ')

quickly = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def build_proxy(name: str = "mail", **spec: Any) -> Manifest:
    whole = {"hostname": "mail.example.com", "mailServer": {"podSelector": {"matchLabels": LABELS}}}
    return {
        "apiVersion": "mailproxy.dev/v1alpha1",
        "kind": "MailProxy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": whole | spec,
    }


def assert_both_say_the_same(api: Api, manifest: Manifest) -> None:
    """Both take it, or both refuse it; and each field that the model names, the server does."""
    by_server, by_model = find_server_refusal(api, manifest), find_model_refusal(manifest)
    assert bool(by_server) == bool(by_model), (by_server, by_model)
    named_by_both = find_fields(by_server) & find_fields(by_model)
    if NOT_ALL_CHECKED in by_server:  # rules wait until types and bounds are right
        assert named_by_both, (by_server, by_model)
    else:
        assert named_by_both == find_fields(by_model), (by_server, by_model)


def mutate(text: str, position: int, removed: int, inserted: str) -> str:
    position %= len(text) + 1
    return text[:position] + inserted + text[position + removed :]


# Networks

octets = st.sampled_from(["0", "1", "10", "127", "192", "255", "256", "010", "00", ""])
groups = st.sampled_from(
    ["", "0", "0000", "00000", "1", "ffff", "FFFF", "db8", "2001", "fd00", "g", "10.0.0.0"]
)
prefixes = st.one_of(
    st.integers(-1, 33).map(str),
    st.integers(30, 130).map(str),
    st.sampled_from(["", "08", "064", "+8", "8 ", "255.0.0.0", "8/8", "٨", "1e1"]),
)
addresses = st.one_of(
    st.lists(octets, min_size=3, max_size=5).map(".".join),
    st.lists(groups, min_size=2, max_size=9).map(":".join),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.ip_addresses(network="::ffff:0:0/96").map(str),
    st.ip_addresses(v=4).map(lambda address: f"::{address}"),
    st.ip_addresses(v=4).map(lambda address: f"::ffff:{address}"),
)
right_networks = st.builds(
    lambda address, length: str(ip_network((address, length), strict=False)),
    st.ip_addresses(v=4),
    st.integers(6, 32),
) | st.builds(
    lambda address, length: str(ip_network((address, length), strict=False)),
    st.ip_addresses(v=6),
    st.integers(30, 128),
)
pieces = st.text("0123456789abfAF:./%[] \t\n-+x\x00٨", max_size=2)
networks = st.one_of(
    right_networks,
    st.builds("/".join, st.tuples(addresses, prefixes)),
    st.builds(mutate, right_networks, st.integers(0, 50), st.integers(0, 2), pieces),
    st.text(max_size=MAX_NETWORK_LENGTH),
).filter(lambda text: 0 < len(text) <= MAX_NETWORK_LENGTH)


def find_server_complaints(api: Api, texts: list[str]) -> dict[int, list[str]]:
    """Messages of the rules that the API server applies to each of many networks."""
    refusal = find_server_refusal(api, build_proxy(trust={"networks": texts}))
    found: dict[int, list[str]] = {}
    for error in NETWORK_ERROR.finditer(refusal):
        said = [r.message for r in NETWORK_RULES if refusal.startswith(r.message, error.end())]
        found.setdefault(int(error[1]), []).extend(said)
    assert bool(found) == bool(refusal), refusal
    return found


def find_model_complaints(texts: list[str]) -> dict[int, list[str]]:
    found = {
        index: [rule.message for rule in NETWORK_RULES if not rule.holds(text)]
        for index, text in enumerate(texts)
    }
    return {index: messages for index, messages in found.items() if messages}


@quickly
@given(texts=st.lists(networks, min_size=8, max_size=32))
def test_rules_of_networks_give_the_same_verdict(api: Api, texts: list[str]) -> None:
    by_model = find_model_complaints(texts)
    assert find_server_complaints(api, texts) == by_model
    assert find_fields(find_model_refusal(build_proxy(trust={"networks": texts}))) == {
        f"spec.trust.networks[{index}]" for index in by_model
    }


# Names

rough_texts = st.text("aA0-_.:/`'\" \n$()*é", max_size=8)
right_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,63}[a-z0-9])?", fullmatch=True)
near_names = right_names | st.builds(
    mutate,
    right_names,
    st.integers(0, 70),
    st.integers(0, 1),
    st.text("-_.A09 \n`", max_size=1),
)
label_keys = st.one_of(
    near_names,
    st.lists(near_names, min_size=1, max_size=2).map("/".join),
    st.builds("/".join, st.tuples(st.lists(near_names, max_size=2).map(".".join), near_names)),
    rough_texts,
)
hostnames = st.one_of(
    st.lists(right_names, min_size=1, max_size=4).map(".".join),
    st.lists(near_names, min_size=1, max_size=6).map(".".join),
    st.lists(octets, min_size=4, max_size=4).map(".".join),
    rough_texts,
)


@quickly
@given(hostname=hostnames)
def test_hostnames_get_the_same_verdict_from_both(api: Api, hostname: str) -> None:
    assert_both_say_the_same(api, build_proxy(hostname=hostname))


@quickly
@given(texts=st.lists(near_names | rough_texts, min_size=1, max_size=8))
def test_entry_points_get_the_same_verdict_from_both(api: Api, texts: list[str]) -> None:
    ports = [{"name": n, "entryPoint": text} for n, text in zip(PortName, texts, strict=False)]
    assert_both_say_the_same(api, build_proxy(ports=ports))


@quickly
@given(key=label_keys, value=near_names | rough_texts)
def test_labels_get_the_same_verdict_from_both(api: Api, key: str, value: str) -> None:
    manifest = build_proxy(mailServer={"podSelector": {"matchLabels": {key: value} | LABELS}})
    # Only whether: keys may hold whatever a field's path is made of.
    assert bool(find_server_refusal(api, manifest)) == bool(find_model_refusal(manifest))


@quickly
@given(name=near_names | rough_texts | st.sampled_from(["mail-overrides", "mail-trust", "a.b-c"]))
def test_names_of_config_maps_get_the_same_verdict_from_both(api: Api, name: str) -> None:
    selector = {"podSelector": {"matchLabels": LABELS}}
    assert_both_say_the_same(api, build_proxy(mailServer=selector | {"overridesFrom": name}))


@quickly
@given(name=near_names, length=st.integers(1, MAX_NAME_LENGTH + 2))
def test_names_get_the_same_verdict_from_both(api: Api, name: str, length: int) -> None:
    manifest = build_proxy((name * length)[:length])
    by_server, by_model = find_server_refusal(api, manifest), find_model_refusal(manifest)
    assert find_fields(by_server) == find_fields(by_model)


# Whole specs

ports = st.builds(
    lambda name, others: {"name": name} | others,
    st.sampled_from(PortName),
    st.fixed_dictionaries(
        {},
        optional={
            "entryPoint": st.sampled_from(["smtp", "imap"]),
            "sni": st.sampled_from(["Any", "Hostname"]),
        },
    ),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "version": st.sampled_from([1, 2]),
        "field": st.sampled_from(["Service", "ServersTransport"]),
    },
)
edges = st.fixed_dictionaries(
    {"type": st.sampled_from(["Traefik", "Generic"])},
    optional={
        "namespace": st.just("kube-system"),
        "serviceName": st.just("edge"),
        "podSelector": st.just({"matchLabels": LABELS}),
        "ingressClassName": st.just("public"),
        "proxyProtocol": headers,
    },
)
trusts = st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(["ProxyPods", "NodePodCIDRs", "None"]),
        "networks": st.lists(st.sampled_from(["192.0.2.0/24", "fd00::/32"]), max_size=2),
    },
)
specs = st.fixed_dictionaries(
    {
        "edge": edges,
        "ports": st.lists(ports, min_size=1, max_size=3, unique_by=lambda port: port["name"]),
    },
    optional={
        "suspend": st.booleans(),
        "listeners": st.sampled_from(["Separate", "Shared"]),
        "trust": trusts,
        "networkPolicy": st.sampled_from(["Enabled", "Disabled"]),
    },
)
anything = st.sampled_from([None, True, 0, 1, 1.0, 1.5, "", "1", "true", "2", [], {}, [None]])


@quickly
@given(spec=specs)
def test_specs_of_valid_types_get_the_same_verdict_from_both(
    api: Api, spec: dict[str, Any]
) -> None:
    assert_both_say_the_same(api, build_proxy(**spec))


@quickly
@given(spec=specs, position=st.integers(0, 40), value=anything)
def test_specs_with_one_odd_value_get_the_same_verdict_from_both(
    api: Api, spec: dict[str, Any], position: int, value: Any
) -> None:
    whole = build_proxy(**spec)["spec"]
    places = find_places(whole)
    assert_both_say_the_same(
        api, build_proxy(**replace(whole, places[position % len(places)], value))
    )


def find_places(value: Any) -> list[tuple[Any, ...]]:
    """Paths of all that lies in a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in inside:
        deeper = find_places(item) if isinstance(item, (dict, list)) else []
        found += [(key,), *((key, *rest) for rest in deeper)]
    return found


def replace(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with something else at a path."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replace(value[path[0]], path[1:], new)
    return copy
