"""Pieces of text that several messages need."""

from collections.abc import Sequence

from mailproxy.api.edge import EdgeSpec
from mailproxy.observed.body import Labels
from mailproxy.plan.model import Problem


def explain_problems(problems: Sequence[Problem]) -> str:
    """Tell the first problem whole, and how many more there are."""
    kind, name = problems[0].child
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{kind} {name}: {problems[0].message}{more}."


def describe_edge(spec: EdgeSpec) -> str:
    """The edge as `namespace/service`, or by its labels where there is no Service."""
    if spec.pod_selector is None:
        return f"{spec.namespace}/{spec.resolved_service_name}"
    labels = sorted(spec.pod_selector.match_labels.items())
    return f"{spec.namespace}/{','.join(f'{key}={value}' for key, value in labels)}"


def describe_pods(namespace: str, labels: Labels) -> str:
    text = ",".join(f"{key}={value}" for key, value in labels)
    return f"with the labels {text} in namespace {namespace}"


def count_things(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
