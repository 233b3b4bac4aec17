"""Manifests as the API server delivers them, for the tests of the NetworkPolicy rules."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.cluster.policy_rules import TABLE, compile_ruleset
from tests.controlplane.api import Manifest, Manifests

NAMESPACES: Manifests = [
    {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}
    for name in ("edge", "mail")
]
MAIL_PORTS = [
    {"name": "smtp", "containerPort": 25},
    {"name": "dns", "containerPort": 5300, "protocol": "UDP"},
]


def pod(
    namespace: str,
    name: str,
    *addresses: str,
    ports: Sequence[Manifest] = (),
    phase: str = "Running",
    **spec: Any,
) -> Manifest:
    """A pod with the label `app=<name>`."""
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "ports": list(ports)}], **spec},
        "status": {"phase": phase, "podIPs": [{"ip": address} for address in addresses]},
    }


def policy(name: str = "policy", namespace: str = "mail", **spec: Any) -> Manifest:
    """A policy for `app=mail` unless `podSelector` says otherwise."""
    chosen = {"podSelector": {"matchLabels": {"app": "mail"}}, **spec}
    return {"metadata": {"namespace": namespace, "name": name}, "spec": chosen}


def mail_pod(*addresses: str) -> Manifest:
    return pod("mail", "mail", *(addresses or ("10.0.0.5",)), ports=MAIL_PORTS)


def compile_text(pods: Manifests, *policies: Manifest) -> str:
    return compile_ruleset(pods, NAMESPACES, list(policies))


def read_chains(text: str) -> Mapping[str, list[str]]:
    """Rules of each chain, without comments, without the rule that frees a pod from itself."""
    chains: dict[str, list[str]] = {}
    rules: list[str] = []
    for line in map(str.strip, text.partition(f"table inet {TABLE} {{\n")[2].splitlines()):
        if line.startswith("chain "):
            rules = chains.setdefault(line.split()[1], [])
        elif not line.startswith(("#", "}")):
            rules.append(line)
    return {name: [r for r in rules if not _is_to_itself(r)] for name, rules in chains.items()}


def _is_to_itself(rule: str) -> bool:
    words = rule.split()
    return len(words) == 7 and words[1] == "saddr" and words[4] == "daddr"


def ingress_rules(pods: Manifests, *policies: Manifest) -> list[str]:
    """Rules for what comes to the mail pod, the final drop left out."""
    *rules, last = read_chains(compile_text(pods, *policies))["ingress/mail/mail"]
    assert last == "counter drop"
    return rules


def egress_rules(pods: Manifests, *policies: Manifest) -> list[str]:
    """Rules for what the mail pod sends, the final drop left out."""
    *rules, last = read_chains(compile_text(pods, *policies))["egress/mail/mail"]
    assert last == "counter drop"
    return rules
