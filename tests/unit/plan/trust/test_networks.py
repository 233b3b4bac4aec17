"""Whose header is accepted: exactly the sources of the moment, nothing wider, nothing older."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.random_worlds import clusters, mail_proxy_bodies
from tests.unit.worlds import (
    Body,
    condition,
    judge,
    mail_proxy,
    node_body,
    observe,
    pod_body,
    service_body,
)

from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.networks import Network
from mailproxy.api.status import MAX_TRUSTED_NETWORKS
from mailproxy.observed.pod import read_pod
from mailproxy.observed.selectors import PodSet, needs_nodes
from mailproxy.plan.build import build_plan
from mailproxy.plan.metadata import Manifest
from mailproxy.plan.trust.files import TRUST_FILE
from mailproxy.plan.trust.networks import decide_trust

few = settings(max_examples=20)
cases = mail_proxy_bodies().flatmap(lambda body: st.tuples(st.just(body), clusters(body)))
NODES = [
    node_body("node-1", ["192.0.2.1", "2001:db8::1"], ["10.244.1.0/24", "fd00:1::/64"]),
    node_body("node-2", ["192.0.2.2"], ["10.244.2.0/24"]),
]


def trusted(objects: list[Body], **trust: Any) -> list[str]:
    """Networks trusted by a MailProxy with this `spec.trust`."""
    proxy = mail_proxy(trust=trust)
    plan = build_plan(proxy, observe(proxy, [service_body(), *objects]))
    return [str(network) for network in plan.trust.networks]


def trust_file(proxy: MailProxy, children: tuple[Manifest, ...]) -> str:
    found = [c for c in children if c["metadata"]["name"] == proxy.trust_name]
    return str(found[0]["data"][TRUST_FILE])


def host_networks(texts: list[Any]) -> set[Network]:
    """Networks of one address each, for those of `texts` that another host can have."""
    found: set[Network] = set()
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        if "%" not in text and not address.is_loopback:
            found.add(ip_network(address))
    return found


def sources(body: Body, objects: list[Body]) -> set[Network]:
    """What may be trusted, read from the raw objects; `objects` hold no pod but the edge's."""
    trust = body["spec"]["trust"]
    live = [o for o in objects if o["kind"] == "Pod" if o["status"]["phase"] in _LIVE]
    nodes = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Node"}
    found = {ip_network(text) for text in trust["networks"]}
    for pod in live:
        node = nodes.get(pod["spec"].get("nodeName", ""), {"spec": {}, "status": {}})
        if trust["from"] == "ProxyPods":
            found |= host_networks([entry["ip"] for entry in pod["status"].get("podIPs", [])])
            if pod["spec"].get("hostNetwork"):
                addresses = node["status"].get("addresses", [])
                found |= host_networks([entry["address"] for entry in addresses])
        elif trust["from"] == "NodePodCIDRs":
            cidrs = [ip_network(c) for c in node["spec"].get("podCIDRs", []) if c]
            found |= {cidr for cidr in cidrs if cidr.prefixlen > 0}
    return found


def is_selected(pod: Body, pod_set: PodSet | None) -> bool:
    """Whether a pod is one of the edge's, which a mail server's can be too."""
    metadata = pod["metadata"]
    return (
        pod_set is not None
        and metadata["namespace"] == pod_set.namespace
        and dict(pod_set.labels).items() <= metadata["labels"].items()
    )


_LIVE = ("Running", "Pending", "Unknown")


@few
@given(case=cases)
def test_trust_is_exactly_its_sources(case: tuple[Body, list[Body]]) -> None:
    body, objects = case
    proxy = MailProxy.model_validate(body)
    world = observe(proxy, objects)
    known = [o for o in objects if o["kind"] != "Pod" or is_selected(o, world.pod_set)]
    assert set(build_plan(proxy, world).trust.networks) == sources(body, known)


@few
@given(case=cases)
def test_file_status_and_trust_say_the_same(case: tuple[Body, list[Body]]) -> None:
    body, objects = case
    proxy = MailProxy.model_validate(body)
    world = observe(proxy, objects)
    plan = build_plan(proxy, world)
    if plan.conflict is None:
        name, _, entries = trust_file(proxy, plan.children).removesuffix("\n").partition(" =")
        assert name == "haproxy_trusted_networks"
        assert tuple(map(ip_network, entries.split())) == plan.trust.networks
        status = judge(proxy, world)
        assert status["trustedNetworks"] == [str(network) for network in plan.trust.networks]
        assert status["trustedCount"] == len(plan.trust.networks)


@few
@given(case=cases)
def test_finished_pods_never_contribute(case: tuple[Body, list[Body]]) -> None:
    body, objects = case
    proxy = MailProxy.model_validate(body)
    finished = [o for o in objects if o["kind"] == "Pod" and o["status"]["phase"] not in _LIVE]
    rest = [o for o in objects if o not in finished]
    plan, without = (build_plan(proxy, observe(proxy, some)) for some in (objects, rest))
    assert (plan.trust, plan.children) == (without.trust, without.children)


@pytest.mark.parametrize("source", ["ProxyPods", "NodePodCIDRs"])
@pytest.mark.parametrize("pods", [[], [pod_body(phase="Failed")], [pod_body(phase="Succeeded")]])
def test_without_pods_and_networks_nobody_is_trusted(source: str, pods: list[Body]) -> None:
    proxy = mail_proxy(trust={"from": source})
    world = observe(proxy, [service_body(), *NODES, *pods])
    plan = build_plan(proxy, world)
    assert trust_file(proxy, plan.children) == "haproxy_trusted_networks =\n"
    found = condition(judge(proxy, world), "TrustReady")
    assert (found["status"], found["reason"]) == ("False", "NoProxyPods")


def test_pod_is_trusted_from_its_first_address_on_before_it_is_ready() -> None:
    pod = pod_body(ips=["10.244.1.2", "fd00:1::2"], phase="Pending")
    assert trusted([pod]) == ["10.244.1.2/32", "fd00:1::2/128"]


def test_pod_that_ends_is_trusted_until_it_is_gone() -> None:
    pod = pod_body()
    pod["metadata"]["deletionTimestamp"] = "2026-08-01T12:00:00Z"
    assert trusted([pod]) == ["10.244.1.2/32"]


def test_pod_without_an_address_is_not_trusted_yet() -> None:
    assert trusted([pod_body("a", ()), pod_body("b", ["10.244.1.3"])]) == ["10.244.1.3/32"]


def test_addresses_are_sorted_by_number_and_ipv4_comes_first() -> None:
    pods = [pod_body(f"p{n}", [f"10.244.1.{n}", f"fd00::{n}"]) for n in (10, 9, 2)]
    assert trusted(pods)[:3] == ["10.244.1.2/32", "10.244.1.9/32", "10.244.1.10/32"]
    assert trusted(pods)[3:] == ["fd00::2/128", "fd00::9/128", "fd00::10/128"]


def test_neighbouring_addresses_are_not_collapsed() -> None:
    pods = [pod_body("a", ["10.244.1.2"]), pod_body("b", ["10.244.1.3"])]
    assert trusted(pods) == ["10.244.1.2/32", "10.244.1.3/32"]


def test_network_of_the_user_is_trusted_beside_the_pods() -> None:
    networks = ["198.51.100.0/24", "2001:DB8::/48"]
    expected = ["10.244.1.2/32", "198.51.100.0/24", "2001:db8::/48"]
    assert trusted([pod_body()], networks=networks) == expected


def test_only_the_users_networks_are_trusted_with_none() -> None:
    objects = [pod_body(host_network=True), *NODES]
    chosen = {"from": "None", "networks": ["198.51.100.7/32"]}
    assert trusted(objects, **chosen) == ["198.51.100.7/32"]


def test_host_network_pod_may_send_from_every_address_of_its_own_node() -> None:
    pod = pod_body(ips=["192.0.2.1"], host_network=True, node="node-1")
    assert trusted([pod, *NODES]) == ["192.0.2.1/32", "2001:db8::1/128"]


def test_host_network_pod_whose_node_is_unknown_has_its_own_addresses() -> None:
    assert trusted([pod_body(ips=["192.0.2.1"], host_network=True)]) == ["192.0.2.1/32"]


def test_only_nodes_that_run_a_live_pod_give_their_pod_networks() -> None:
    pods = [pod_body("a", node="node-1"), pod_body("b", node="node-2", phase="Failed")]
    source = {"from": "NodePodCIDRs"}
    assert trusted([*pods, *NODES], **source) == ["10.244.1.0/24", "fd00:1::/64"]


def test_node_that_has_nothing_to_trust_is_reported() -> None:
    proxy = mail_proxy(trust={"from": "NodePodCIDRs"})
    objects = [service_body(), pod_body("a", node="node-2"), pod_body("b", node="node-9"), *NODES]
    found = condition(judge(proxy, observe(proxy, objects)), "TrustReady")
    assert (found["status"], found["reason"]) == ("False", "NoNodeAddresses")
    assert "node-9" in found["message"]


def test_node_address_with_directives_in_it_does_not_reach_dovecot() -> None:
    proxy = mail_proxy()
    node = node_body("node-1", ["192.0.2.1", "fe80::1%x\nauth_mechanisms = anonymous #"])
    pod = pod_body(ips=["192.0.2.1"], host_network=True)
    plan = build_plan(proxy, observe(proxy, [service_body(), pod, node]))
    assert trust_file(proxy, plan.children) == "haproxy_trusted_networks = 192.0.2.1\n"


def test_finished_pods_are_left_out_wherever_they_come_from() -> None:
    pods = [read_pod(pod_body("a", phase="Succeeded")), read_pod(pod_body("b", ["10.244.1.9"]))]
    trust = decide_trust(mail_proxy().spec.trust, pods, {})
    assert [str(network) for network in trust.networks] == ["10.244.1.9/32"]


def many_pods(number: int) -> list[Any]:
    return [read_pod(pod_body(f"p{n}", [f"fd00:{n:x}:ffff::ffff"])) for n in range(number)]


def test_as_many_addresses_as_dovecot_can_read_are_trusted() -> None:
    trust = decide_trust(mail_proxy().spec.trust, many_pods(MAX_TRUSTED_NETWORKS), {})
    assert (len(trust.networks), trust.too_many) == (MAX_TRUSTED_NETWORKS, 0)


def test_one_address_more_than_dovecot_can_read_makes_nobody_trusted() -> None:
    proxy = mail_proxy()
    trust = decide_trust(proxy.spec.trust, many_pods(MAX_TRUSTED_NETWORKS + 1), {})
    assert (trust.networks, trust.too_many) == ((), MAX_TRUSTED_NETWORKS + 1)


def test_status_says_that_there_are_too_many_addresses() -> None:
    proxy = mail_proxy()
    pods = [pod_body(f"p{n}", [f"fd00::{n:x}"]) for n in range(1, MAX_TRUSTED_NETWORKS + 2)]
    status = judge(proxy, observe(proxy, [service_body(), *pods]))
    found = condition(status, "TrustReady")
    assert (found["status"], found["reason"]) == ("False", "TooManyAddresses")
    assert "`spec.trust.networks`" in found["message"]
    assert (status["trustedNetworks"], status["trustedCount"]) == ([], 0)


@pytest.mark.parametrize(
    ("source", "host_network", "needed"),
    [
        ("ProxyPods", False, False),
        ("ProxyPods", True, True),
        ("NodePodCIDRs", False, True),
        ("None", True, False),
    ],
)
def test_nodes_are_asked_for_only_where_trust_depends_on_them(
    source: str, host_network: bool, needed: bool
) -> None:
    spec = mail_proxy(trust={"from": source, "networks": ["192.0.2.0/24"]}).spec.trust
    assert needs_nodes(spec, [read_pod(pod_body(host_network=host_network))]) is needed
