"""Pieces of text that several messages need."""

from mailproxy.api.edge import EdgeSpec
from mailproxy.api.mailproxy import MailProxy
from mailproxy.observed.body import Labels, join_labels
from mailproxy.observed.selectors import find_mail_pods

WAITS_FOR_ACCEPTANCE = "Waiting until the spec is accepted."


def describe_edge(spec: EdgeSpec) -> str:
    """The edge as `namespace/service`, or by its labels if they select its pods."""
    if spec.pod_selector is None:
        return f"{spec.namespace}/{spec.resolved_service_name}"
    return f"{spec.namespace}/{join_labels(spec.pod_selector.match_labels.items())}"


def describe_pods(namespace: str, labels: Labels) -> str:
    """Pods by their labels, as a phrase."""
    return f"with labels {join_labels(labels)} in namespace {namespace}"


def describe_mail_pods(proxy: MailProxy) -> str:
    """The mail server's pods by their labels, as a phrase."""
    pods = find_mail_pods(proxy)
    return describe_pods(pods.namespace, pods.labels)


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 address`, `2 addresses`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
