"""Projections: whatever an object holds, they keep what makes sense and never raise."""

import copy
import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.worlds import (
    GOLDEN_NAMES,
    container_body,
    endpoints_body,
    mail_proxy,
    node_body,
    pod_body,
    read_documents,
    remembering,
    service_body,
)

from mailproxy.observed.addresses import parse_addresses
from mailproxy.observed.child import read_child
from mailproxy.observed.config_map import read_config_map
from mailproxy.observed.endpoint_slice import read_endpoints
from mailproxy.observed.node import read_node
from mailproxy.observed.pod import read_pod
from mailproxy.observed.selectors import PodSet, dump_pod_set, load_pod_set
from mailproxy.observed.service import read_service

READERS = {
    "Pod": read_pod,
    "Node": read_node,
    "Service": read_service,
    "EndpointSlice": read_endpoints,
    "ConfigMap": read_config_map,
    "IngressRouteTCP": lambda body: read_child(body, "IngressRouteTCP"),
}
# What the API server itself demands of an object: it never sends one without them.
REQUIRED = {
    *("kind", "metadata", "name", "namespace", "uid", "resourceVersion", "key"),
    *("containerPort", "port", "controller", "path"),
}
BODIES = [
    body
    for name in GOLDEN_NAMES
    for body in read_documents(name, "input.yaml")
    if body["kind"] in READERS
]


def optional_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all fields below `value` that an object may lack."""
    found: list[tuple[Any, ...]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(key, str) and key not in REQUIRED:
            found.append((*path, key))
        if isinstance(item, dict | list):
            found += optional_paths(item, (*path, key))
    return found


@given(data=st.data(), null=st.booleans())
def test_any_optional_field_may_be_missing_or_null(data: st.DataObject, null: bool) -> None:
    body = copy.deepcopy(data.draw(st.sampled_from(BODIES)))
    path = data.draw(st.sampled_from(optional_paths(body)))
    parent = body
    for key in path[:-1]:
        parent = parent[key]
    if null:
        parent[path[-1]] = None
    else:
        del parent[path[-1]]
    hash(READERS[body["kind"]](body))


@pytest.mark.parametrize(
    "text",
    [
        "fe80::1%eth0",
        "fe80::1%x\nauth_mechanisms = anonymous #",
        "10.0.0.1\n10.0.0.2",
        "10.0.0.1 ",
        "010.0.0.1",
        "10.0.0.0/8",
        "::/0",
        "0.0.0.0",
        "::",
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "224.0.0.1",
        "node-1.example.com",
        "",
        None,
        5,
        True,
        ["10.0.0.1"],
    ],
)
def test_what_is_no_address_of_another_host_is_left_out(text: Any) -> None:
    assert parse_addresses([text, "192.0.2.1"]) == (ip_address("192.0.2.1"),)


@given(st.text() | st.ip_addresses().map(str))
def test_any_text_gives_at_most_one_address_that_says_nothing_more(text: str) -> None:
    for address in parse_addresses([text]):
        assert set(str(address)) <= set("0123456789abcdef:.")


def test_mapped_address_is_the_one_that_it_maps() -> None:
    assert parse_addresses(["::ffff:192.0.2.1", "192.0.2.1"]) == (ip_address("192.0.2.1"),)


@given(st.lists(st.ip_addresses()), st.randoms())
def test_order_and_duplicates_of_addresses_do_not_matter(addresses: list[Any], random: Any) -> None:
    texts = [str(address) for address in addresses] * 2
    random.shuffle(texts)
    assert parse_addresses(texts) == parse_addresses([str(a) for a in addresses])


@pytest.mark.parametrize(
    "cidr",
    [
        "0.0.0.0/0",
        "::/0",
        "8.0.0.0/7",
        "2001::/31",
        "10.244.1.5/24",
        "10.0.0.0/255.0.0.0",
        "10.244.1.0",
        "::ffff:10.0.0.0/104",
        "10.244.1.0/24 0.0.0.0/0",
        "",
        None,
        10,
    ],
)
def test_node_network_that_no_user_may_write_is_not_taken_from_a_node_either(cidr: Any) -> None:
    body = node_body("node-1", pod_cidrs=[cidr, "10.244.2.0/24"])
    assert read_node(body).pod_cidrs == (ip_network("10.244.2.0/24"),)


def test_node_with_the_old_single_network_field_is_read() -> None:
    body = node_body("node-1") | {"spec": {"podCIDR": "10.244.2.0/24"}}
    assert read_node(body).pod_cidrs == (ip_network("10.244.2.0/24"),)


def test_only_internal_and_external_addresses_of_a_node_count() -> None:
    body = node_body("node-1")
    body["status"]["addresses"] = [
        {"type": "InternalIP", "address": "192.0.2.1"},
        {"type": "ExternalIP", "address": "198.51.100.1"},
        {"type": "Hostname", "address": "192.0.2.99"},
        {"type": "InternalDNS", "address": "node-1.internal"},
    ]
    assert read_node(body).addresses == (ip_address("192.0.2.1"), ip_address("198.51.100.1"))


def test_pod_without_a_list_of_addresses_has_its_single_one() -> None:
    body = pod_body()
    body["status"] = {"phase": "Running", "podIP": "10.244.1.2"}
    assert read_pod(body).addresses == (ip_address("10.244.1.2"),)


def test_pod_that_nobody_has_looked_at_is_pending_and_without_address() -> None:
    pod = read_pod(pod_body() | {"status": {}})
    assert (pod.phase, pod.addresses, pod.is_live) == ("Pending", (), True)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_finished_pods_are_not_live(phase: str) -> None:
    assert not read_pod(pod_body(phase=phase)).is_live


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_pods_that_may_still_run_are_live(phase: str) -> None:
    assert read_pod(pod_body(phase=phase)).is_live


def test_ports_of_udp_are_left_out() -> None:
    ports = [
        {"name": "quic", "containerPort": 443, "protocol": "UDP"},
        {"name": "smtp", "containerPort": 2525},
    ]
    pod = read_pod(pod_body(ports=ports))
    service = read_service(
        service_body(ports=[{"port": 443, "protocol": "UDP"}, {"port": 25, "targetPort": "smtp"}])
    )
    assert [port.name for port in pod.containers[0].ports] == ["smtp"]
    assert [(port.port, port.target) for port in service.ports] == [(25, "smtp")]


def test_variables_from_elsewhere_are_left_out() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {}}}]
    pod = read_pod(pod_body(containers=[container_body(env=env)]))
    assert pod.containers[0].environment == (("A", "1"),)


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ({"ready": True}, True),
        ({"ready": None}, True),
        ({}, True),
        (None, True),
        ({"ready": False, "serving": True, "terminating": True}, False),
    ],
)
def test_endpoint_is_ready_unless_it_says_no(conditions: Any, ready: bool) -> None:
    body = endpoints_body() | {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": conditions}]}
    assert read_endpoints(body).ready is ready


@pytest.mark.parametrize("endpoints", [None, []])
def test_slice_without_endpoints_is_not_ready(endpoints: Any) -> None:
    assert read_endpoints(endpoints_body() | {"endpoints": endpoints}).ready is False


def test_child_belongs_to_the_controller_that_it_names() -> None:
    proxy = mail_proxy()
    child = read_child(remembering(proxy, ""), "ConfigMap")
    assert child.is_owned_by(proxy.metadata.uid, proxy.name)
    assert not child.is_owned_by("another", proxy.name)


def test_child_that_lost_its_owner_reference_is_known_by_its_labels() -> None:
    proxy = mail_proxy()
    body = remembering(proxy, "")
    del body["metadata"]["ownerReferences"]
    child = read_child(body, "ConfigMap")
    assert child.is_owned_by(proxy.metadata.uid, proxy.name)
    assert not child.is_owned_by(proxy.metadata.uid, "another")


LABELS = {"app.kubernetes.io/name": "traefik", "tier": ""}


def test_remembered_pods_are_read_as_they_were_written() -> None:
    pods = PodSet("traefik", tuple(sorted(LABELS.items())))
    assert load_pod_set(dump_pod_set(pods)) == pods
    assert dump_pod_set(None) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "7",
        "[]",
        '"text"',
        "{}",
        "{",
        "[" * 200_000,
        "9" * 10_000,
        '{"namespace":"traefik"}',
        '{"namespace":"traefik","labels":null}',
        '{"namespace":"traefik","labels":[]}',
        '{"namespace":"traefik","labels":{}}',
        '{"namespace":"traefik","labels":{"a":1}}',
        '{"namespace":"traefik","labels":{"a":null}}',
        '{"namespace":["traefik"],"labels":{"a":"b"}}',
        '{"namespace":"","labels":{"a":"b"}}',
        '{"namespace":"a/../b","labels":{"a":"b"}}',
        '{"namespace":"Traefik","labels":{"a":"b"}}',
        '{"namespace":"traefik","labels":{"":"b"}}',
        '{"namespace":"traefik","labels":{"a..b/c":"d"}}',
        '{"namespace":"traefik","labels":{"a/b/c":"d"}}',
        '{"namespace":"traefik","labels":{"a":"b,c=d"}}',
        '{"namespace":"traefik","labels":{"a notin (b),!c":"d"}}',
        '{"namespace":"traefik","labels":{"a":"b\\nc"}}',
        '{"namespace":"traefik","labels":{"a":"\\ud800"}}',
    ],
)
def test_invalid_annotation_counts_as_none(text: str) -> None:
    assert load_pod_set(text) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=4,
)


@given(namespace=json_values, labels=st.dictionaries(st.text(), st.text()) | json_values)
def test_remembered_pods_hold_nothing_but_labels(namespace: Any, labels: Any) -> None:
    pods = load_pod_set(json.dumps({"namespace": namespace, "labels": labels}))
    if pods is not None:
        selector = ",".join(f"{key}={value}" for key, value in pods.labels)
        assert selector.count(",") == len(pods.labels) - 1
        assert not set(selector) & set(" ()!\n\"'")
