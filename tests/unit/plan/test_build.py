"""Whole plans of any MailProxy in any cluster: what must hold of each."""

import json
import re
from collections.abc import Iterator
from ipaddress import ip_network
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.random_worlds import clusters, mail_proxies, mail_proxy_bodies, shuffle
from tests.unit.worlds import Body, judge, mail_proxy, observe, pod_body, service_body

from mailproxy.api.edge import TraefikSpec
from mailproxy.api.mail_services import MAIL_SERVICES, PortName
from mailproxy.api.mailproxy import MAX_NAME_LENGTH, MailProxy
from mailproxy.api.status import MailProxyStatus
from mailproxy.observed.world import World
from mailproxy.plan.build import build_plan
from mailproxy.plan.metadata import Manifest, find_ref
from mailproxy.plan.model import Plan
from mailproxy.plan.network_policy import build_network_policy, guarded_ports

ALL_PORTS = [{"name": str(name)} for name in PortName]
CONSTANTS = {
    *("v1", "networking.k8s.io/v1", "traefik.io/v1alpha1", "mailproxy.dev/v1alpha1"),
    *("ConfigMap", "NetworkPolicy", "Service", "IngressRouteTCP", "ServersTransportTCP"),
    *("MailProxy", "mailproxy-operator", "ClusterIP", "Ingress", "TCP", "UDP", "SCTP"),
    *(service.service_port for service in MAIL_SERVICES),
    "HostSNI(`*`)",
}

few = settings(max_examples=20)  # building a cluster takes most of the time
cases = mail_proxy_bodies().flatmap(lambda body: st.tuples(st.just(body), clusters(body)))


def plan_for(body: Body, objects: list[Body]) -> tuple[MailProxy, World, Plan]:
    proxy = MailProxy.model_validate(body)
    world = observe(proxy, objects)
    return proxy, world, build_plan(proxy, world)


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value in a manifest with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))


@few
@given(case=cases, seed=st.integers(0, 2**32))
def test_order_and_duplicates_change_neither_plan_nor_status(
    case: tuple[Body, list[Body]], seed: int
) -> None:
    body, objects = case
    random = Random(seed)
    proxy, world, plan = plan_for(body, objects)
    mixed = shuffle([*objects, *objects], random)
    random.shuffle(mixed)
    same_proxy, same_world, same_plan = plan_for(shuffle(body, random), mixed)
    assert json.dumps(same_plan.children) == json.dumps(plan.children)
    assert judge(same_proxy, same_world) == judge(proxy, world)


@few
@given(case=cases)
def test_status_of_a_status_is_the_same(case: tuple[Body, list[Body]]) -> None:
    proxy, world, _ = plan_for(*case)
    first = judge(proxy, world)
    MailProxyStatus.model_validate(first)
    assert judge(proxy, world, first) == first


@few
@given(case=cases)
def test_what_was_passed_in_is_not_changed(case: tuple[Body, list[Body]]) -> None:
    before = json.dumps(case)
    proxy, world, _ = plan_for(*case)
    judge(proxy, world)
    assert json.dumps(case) == before


@few
@given(case=cases)
def test_children_have_no_null_and_nothing_empty(case: tuple[Body, list[Body]]) -> None:
    _, _, plan = plan_for(*case)
    for child in plan.children:
        for path, value in walk(child):
            if path == ("spec", "externalIPs"):  # sent on purpose, so that it is ours
                continue
            assert value is not None, path
            assert value not in ([], {}), path


@few
@given(case=cases)
def test_children_are_json_with_a_name_an_owner_and_our_labels(
    case: tuple[Body, list[Body]],
) -> None:
    proxy, _, plan = plan_for(*case)
    assert len({find_ref(child) for child in plan.children}) == len(plan.children)
    for child in plan.children:
        metadata = child["metadata"]
        assert json.loads(json.dumps(child)) == child
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", metadata["name"])
        assert metadata["namespace"] == proxy.namespace
        assert [owner["uid"] for owner in metadata["ownerReferences"]] == [proxy.metadata.uid]
        assert metadata["labels"] == {
            "app.kubernetes.io/managed-by": "mailproxy-operator",
            "mailproxy.dev/name": proxy.name,
        }


@few
@given(case=cases)
def test_children_hold_only_constants_and_values_of_known_form(
    case: tuple[Body, list[Body]],
) -> None:
    proxy, world, plan = plan_for(*case)
    spec = proxy.spec
    known = CONSTANTS | {child["metadata"]["name"] for child in plan.children}
    known |= {proxy.name, proxy.namespace, proxy.metadata.uid, f"HostSNI(`{spec.hostname}`)"}
    known |= {port.entry_point for port in plan.ports} | {
        str(spec.edge.fields(TraefikSpec).ingress_class_name)
    }
    known |= set(spec.mail_server.pod_selector.match_labels.values())
    known |= {str(network) for network in (*spec.trust.networks, *plan.trust.networks)}
    known |= {str(ip_network(a)) for pod in plan.edge.pods for a in pod.addresses}
    if world.pod_set:
        known |= {world.pod_set.namespace} | {value for _, value in world.pod_set.labels}
    for child in plan.children:
        for path, value in walk(child):
            if isinstance(value, str) and path[0] != "data" and "annotations" not in path:
                assert value in known, path


@few
@given(proxy=mail_proxies)
def test_overrides_have_no_line_of_their_own_for_one_mail_proxy(proxy: MailProxy) -> None:
    server = proxy.spec.mail_server.model_dump(mode="json", by_alias=True)
    listeners = str(proxy.spec.listeners)
    everything = mail_proxy(ports=ALL_PORTS, listeners=listeners, mailServer=server)
    known = {file: set(text.splitlines()) for file, text in _overrides(everything).items()}
    for file, text in _overrides(proxy).items():
        lines = {re.sub(r"smtpd-proxy/pass[ /a-z0-9]*", "", line) for line in text.splitlines()}
        assert lines <= {re.sub(r"smtpd-proxy/pass[ /a-z0-9]*", "", x) for x in known[file]}


def _overrides(proxy: MailProxy) -> dict[str, str]:
    server = proxy.spec.mail_server.model_copy(update={"overrides_from": None})
    spec = proxy.spec.model_copy(update={"mail_server": server})
    plan = build_plan(proxy.model_copy(update={"spec": spec}), World())
    child = next(c for c in plan.children if c["metadata"]["name"] == f"{proxy.name}-overrides")
    files: dict[str, str] = child["data"]
    return files


def test_every_name_fits_for_the_longest_mail_proxy_name() -> None:
    proxy = mail_proxy(
        "m" * MAX_NAME_LENGTH,
        ports=ALL_PORTS,
        edge={"traefik": {"proxyProtocolField": "ServersTransport"}},
    )
    plan = build_plan(proxy, observe(proxy, [service_body(), pod_body()]))
    names = [child["metadata"]["name"] for child in plan.children]
    assert len(names) == 13
    assert max(map(len, names)) <= 63


def open_ports(policy: Manifest, protocol: str) -> list[int]:
    """Ports that the policy opens for everybody."""
    rules = [rule for rule in policy["spec"]["ingress"] if "from" not in rule]
    ranges = [port for rule in rules for port in rule["ports"] if port["protocol"] == protocol]
    return [n for r in ranges for n in range(r["port"], r.get("endPort", r["port"]) + 1)]


@settings(max_examples=10)
@given(proxy=mail_proxies)
def test_guarded_and_open_ports_are_all_ports_each_once(proxy: MailProxy) -> None:
    policy = build_network_policy(proxy, None, [])
    guarded = guarded_ports(proxy)
    assert sorted(guarded + open_ports(policy, "TCP")) == list(range(1, 65536))


def test_policy_leaves_other_protocols_open() -> None:
    policy = build_network_policy(mail_proxy(), None, [])
    for protocol in ("UDP", "SCTP"):
        assert open_ports(policy, protocol) == list(range(1, 65536))


@few
@given(case=cases)
def test_policy_guards_every_port_that_expects_a_header(case: tuple[Body, list[Body]]) -> None:
    proxy, _, plan = plan_for(*case)
    for child in plan.children:
        if child["kind"] == "NetworkPolicy":
            guarded = set(guarded_ports(proxy))
            targets = {p.service.target_port(proxy.spec.listeners) for p in plan.ports}
            assert targets <= guarded
            admitting = [rule for rule in child["spec"]["ingress"] if "from" in rule]
            assert len(admitting) <= 1
            for rule in admitting:
                assert {port["port"] for port in rule["ports"]} == guarded


def test_policy_without_a_known_edge_admits_nobody_to_the_guarded_ports() -> None:
    policy = build_network_policy(mail_proxy(), None, [])
    assert not [rule for rule in policy["spec"]["ingress"] if "from" in rule]


@few
@given(case=cases)
def test_policy_admits_the_edge_and_the_users_networks_and_nobody_else(
    case: tuple[Body, list[Body]],
) -> None:
    proxy, world, plan = plan_for(*case)
    hosts = [pod for pod in plan.edge.pods if pod.host_network]
    allowed = {str(network) for network in proxy.spec.trust.networks}
    if hosts:
        allowed |= {str(n) for n in plan.trust.networks if n.num_addresses == 1}
        allowed |= {str(ip_network(a)) for pod in hosts for a in pod.addresses}
    for child in plan.children:
        if child["kind"] != "NetworkPolicy":
            continue
        for rule in child["spec"]["ingress"]:
            for peer in rule.get("from", []):
                if "ipBlock" in peer:
                    assert peer["ipBlock"]["cidr"] in allowed
                else:
                    assert world.pod_set is not None
                    assert peer["podSelector"]["matchLabels"] == dict(world.pod_set.labels)
                    assert peer["namespaceSelector"]["matchLabels"] == {
                        "kubernetes.io/metadata.name": world.pod_set.namespace
                    }
