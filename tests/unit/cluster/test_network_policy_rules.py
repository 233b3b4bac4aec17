"""Whom and what the rules of a NetworkPolicy let through."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.cluster.network_policy import apply_ruleset
from tests.cluster.programs import find_debian
from tests.controlplane.api import Manifest
from tests.controlplane.gomod import ToolError
from tests.unit.cluster.policy_worlds import (
    compile_text,
    egress_rules,
    ingress_rules,
    mail_pod,
    pod,
    policy,
)

TRAEFIK = pod("edge", "traefik", "10.0.0.1", "fd00::1")
OTHER = pod("edge", "other", "10.0.0.2", "fd00::2")
NEIGHBOUR = pod("mail", "web", "10.0.0.3", "fd00::3")
PODS = [mail_pod(), TRAEFIK, OTHER, NEIGHBOUR]
IN_EDGE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}
IS_TRAEFIK = {"podSelector": {"matchLabels": {"app": "traefik"}}}


@pytest.mark.parametrize("rule", [{}, {"from": []}])
def test_a_rule_without_peers_and_ports_lets_everybody_in(rule: Manifest) -> None:
    assert ingress_rules(PODS, policy(ingress=[rule])) == ["return"]


def test_both_selectors_of_a_peer_must_hold() -> None:
    rules = ingress_rules(PODS, policy(ingress=[{"from": [IN_EDGE | IS_TRAEFIK]}]))
    assert rules == ["ip saddr { 10.0.0.1 } return", "ip6 saddr { fd00::1 } return"]


def test_a_namespace_selector_alone_means_all_its_pods() -> None:
    rules = ingress_rules(PODS, policy(ingress=[{"from": [IN_EDGE]}]))
    assert rules[0] == "ip saddr { 10.0.0.1, 10.0.0.2 } return"


def test_a_pod_selector_alone_means_the_policys_own_namespace() -> None:
    rules = ingress_rules(PODS, policy(ingress=[{"from": [{"podSelector": {}}]}]))
    assert rules[0] == "ip saddr { 10.0.0.3, 10.0.0.5 } return"


def test_one_of_several_peers_is_enough() -> None:
    own = {"podSelector": {"matchLabels": {"app": "web"}}}
    rules = ingress_rules(PODS, policy(ingress=[{"from": [IN_EDGE | IS_TRAEFIK, own]}]))
    assert rules[0] == "ip saddr { 10.0.0.1, 10.0.0.3 } return"


def test_a_peer_that_selects_nobody_lets_nobody_in() -> None:
    nobody = {"podSelector": {"matchLabels": {"app": "nobody"}}}
    assert ingress_rules(PODS, policy(ingress=[{"from": [nobody]}])) == []


def test_an_address_block_has_exceptions() -> None:
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}
    rules = ingress_rules(PODS, policy(ingress=[{"from": [{"ipBlock": block}]}]))
    assert rules == ["ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16, 10.2.0.0/16 } return"]


def test_an_address_block_may_be_of_ipv6() -> None:
    rules = ingress_rules(PODS, policy(ingress=[{"from": [{"ipBlock": {"cidr": "fd00::/16"}}]}]))
    assert rules == ["ip6 saddr fd00::/16 return"]


@pytest.mark.parametrize(
    ("port", "match"),
    [
        ({"port": 25}, "tcp dport 25"),
        ({"port": 53, "protocol": "UDP"}, "udp dport 53"),
        ({"port": 1, "endPort": 10142}, "tcp dport 1-10142"),
        ({"protocol": "SCTP"}, "meta l4proto sctp"),
        ({"port": "smtp"}, "tcp dport 25"),
        ({"port": "dns", "protocol": "UDP"}, "udp dport 5300"),
    ],
)
def test_a_port_is_a_number_a_range_a_name_or_a_protocol(port: Manifest, match: str) -> None:
    assert ingress_rules(PODS, policy(ingress=[{"ports": [port]}])) == [f"{match} return"]


def test_a_name_that_the_pod_does_not_know_lets_nobody_in() -> None:
    assert ingress_rules(PODS, policy(ingress=[{"ports": [{"port": "imap"}]}])) == []


def test_a_name_of_another_protocol_lets_nobody_in() -> None:
    assert ingress_rules(PODS, policy(ingress=[{"ports": [{"port": "dns"}]}])) == []


def test_each_peer_gets_each_port() -> None:
    rule = {"from": [IN_EDGE | IS_TRAEFIK], "ports": [{"port": 10143}, {"port": "smtp"}]}
    assert ingress_rules(PODS, policy(ingress=[rule])) == [
        "ip saddr { 10.0.0.1 } tcp dport 10143 return",
        "ip6 saddr { fd00::1 } tcp dport 10143 return",
        "ip saddr { 10.0.0.1 } tcp dport 25 return",
        "ip6 saddr { fd00::1 } tcp dport 25 return",
    ]


def test_what_one_of_two_policies_allows_is_allowed() -> None:
    two = [policy(name, ingress=[{"ports": [{"port": p}]}]) for name, p in (("a", 25), ("b", 143))]
    assert ingress_rules(PODS, *two) == ["tcp dport 25 return", "tcp dport 143 return"]


def test_egress_matches_the_receiver() -> None:
    rules = egress_rules(PODS, policy(egress=[{"to": [IN_EDGE], "ports": [{"port": 53}]}]))
    assert rules[0] == "ip daddr { 10.0.0.1, 10.0.0.2 } tcp dport 53 return"


def test_egress_to_a_named_port_means_each_receivers_own_number() -> None:
    receivers = [
        pod("edge", name, address, ports=[{"name": "web", "containerPort": number}])
        for name, address, number in (("a", "10.0.1.1", 80), ("b", "10.0.1.2", 8080))
    ]
    rules = egress_rules([mail_pod(), *receivers], policy(egress=[{"ports": [{"port": "web"}]}]))
    assert rules == [
        "ip daddr { 10.0.1.1 } tcp dport 80 return",
        "ip daddr { 10.0.1.2 } tcp dport 8080 return",
    ]


def test_nft_accepts_all_that_is_compiled() -> None:
    peers = [IN_EDGE | IS_TRAEFIK, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]
    ports = [{"port": 1, "endPort": 10142}, {"protocol": "SCTP"}, {"port": "smtp"}, {"port": 25}]
    rules = [{"from": peers, "ports": ports}, {}]
    text = compile_text(PODS, policy(ingress=rules, egress=[{"to": peers, "ports": ports}]))
    answer = subprocess.run([*_nft(), "-c", "-f", "-"], input=text, text=True, capture_output=True)
    assert (answer.returncode, answer.stderr) == (0, "")


def _nft() -> list[str]:
    """In a network namespace of its own, so that the machine's rules play no part."""
    unshare = ["unshare", "--map-root-user", "--net"]
    try:
        nft = find_debian("nft")
        subprocess.run([*unshare, "true"], check=True)
    except (ToolError, OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    return [*unshare, str(nft)]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("cat", ""),
        ("cat; echo no such table >&2; exit 1", "no such table\n"),
        ("exit 3", "exit code 3"),
    ],
)
def test_what_nft_complains_of_is_returned(tmp_path: Path, script: str, error: str) -> None:
    nft = tmp_path / "nft"
    nft.write_text(f"#!/bin/sh\n{script}\n")
    nft.chmod(0o755)
    assert apply_ruleset(nft, "table") == error
