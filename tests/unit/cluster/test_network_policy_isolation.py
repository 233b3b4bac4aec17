"""Which pods a NetworkPolicy isolates, and in which direction."""

import pytest
from tests.cluster.policy_rules import selects
from tests.controlplane.api import Manifest
from tests.unit.cluster.policy_worlds import compile_text, mail_pod, pod, policy, read_chains

FORWARD = [
    "type filter hook forward priority filter; policy accept;",
    "ct state established,related accept",
]


def test_a_cluster_without_policies_drops_nothing() -> None:
    assert read_chains(compile_text([mail_pod()])) == {"forward": FORWARD}


def test_established_connections_pass_before_any_policy_is_asked() -> None:
    forward = read_chains(compile_text([mail_pod()], policy()))["forward"]
    assert forward == [*FORWARD, "ip daddr 10.0.0.5 jump ingress/mail/mail"]


def test_a_policy_without_rules_lets_nothing_in() -> None:
    chains = read_chains(compile_text([mail_pod()], policy()))
    assert chains["ingress/mail/mail"] == ["counter drop"]


def test_each_address_of_a_pod_is_isolated() -> None:
    forward = read_chains(compile_text([mail_pod("10.0.0.5", "fd00::5")], policy()))["forward"]
    assert forward[2:] == [
        "ip daddr 10.0.0.5 jump ingress/mail/mail",
        "ip6 daddr fd00::5 jump ingress/mail/mail",
    ]


def test_a_pod_always_reaches_itself() -> None:
    text = compile_text([mail_pod("10.0.0.5", "fd00::5")], policy())
    assert "ip saddr 10.0.0.5 ip daddr 10.0.0.5 return" in text
    assert "ip6 saddr fd00::5 ip6 daddr fd00::5 return" in text


def test_pods_of_other_namespaces_and_labels_stay_free() -> None:
    pods = [mail_pod(), pod("mail", "web", "10.0.0.6"), pod("edge", "mail", "10.0.0.7")]
    assert set(read_chains(compile_text(pods, policy()))) == {"ingress/mail/mail", "forward"}


def test_an_empty_pod_selector_isolates_the_whole_namespace() -> None:
    pods = [mail_pod(), pod("mail", "web", "10.0.0.6")]
    chains = read_chains(compile_text(pods, policy(podSelector={})))
    assert set(chains) == {"ingress/mail/mail", "ingress/mail/web", "forward"}


@pytest.mark.parametrize(
    "left_out",
    [
        pod("mail", "mail", "10.0.0.5", hostNetwork=True),
        pod("mail", "mail", "10.0.0.5", phase="Succeeded"),
        pod("mail", "mail", "10.0.0.5", phase="Failed"),
        pod("mail", "mail", phase="Pending"),
    ],
    ids=["host network", "succeeded", "failed", "no address yet"],
)
def test_a_pod_without_an_address_of_its_own_is_left_out(left_out: Manifest) -> None:
    assert set(read_chains(compile_text([left_out], policy()))) == {"forward"}


@pytest.mark.parametrize(
    ("spec", "isolated"),
    [
        ({}, {"ingress"}),
        ({"egress": [{}]}, {"ingress", "egress"}),
        ({"policyTypes": ["Egress"]}, {"egress"}),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, {"ingress"}),
        ({"policyTypes": ["Ingress", "Egress"]}, {"ingress", "egress"}),
    ],
)
def test_policy_types_say_which_direction_is_isolated(spec: Manifest, isolated: set[str]) -> None:
    chains = set(read_chains(compile_text([mail_pod()], policy(**spec)))) - {"forward"}
    assert {name.split("/")[0] for name in chains} == isolated


def test_a_packet_passes_the_senders_policy_before_the_receivers() -> None:
    chains = read_chains(compile_text([mail_pod()], policy(egress=[{}])))
    assert chains["forward"][2:] == [
        "ip saddr 10.0.0.5 jump egress/mail/mail",
        "ip daddr 10.0.0.5 jump ingress/mail/mail",
    ]


def test_the_order_of_the_lists_does_not_matter() -> None:
    pods = [mail_pod(), pod("edge", "traefik", "10.0.0.1"), pod("edge", "other", "10.0.0.2")]
    policies = [policy("a", ingress=[{"from": [{"namespaceSelector": {}}]}]), policy("b")]
    assert compile_text(pods, *policies) == compile_text(pods[::-1], *policies[::-1])


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "mail", "tier": "back"}}, True),
        ({"matchLabels": {"app": "mail", "tier": "front"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "mail"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["mail"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "none", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "DoesNotExist"}]}, True),
        (
            {
                "matchLabels": {"app": "mail"},
                "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}],
            },
            False,
        ),
    ],
)
def test_a_label_selector_needs_all_that_it_names(selector: Manifest, expected: bool) -> None:
    assert selects(selector, {"app": "mail", "tier": "back"}) is expected
