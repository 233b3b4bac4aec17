"""Which objects a MailProxy speaks of: its edge, its mail server, its internal clients."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import starmap

from mailproxy.api.edge import EdgeSpec
from mailproxy.api.mail_server import TrustUpdate, Wiring, WorkloadRef
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.names import LABEL_KEY, LABEL_VALUE, NAMESPACE
from mailproxy.api.spec import TrustSource, TrustSpec
from mailproxy.identity import PODS, Resource
from mailproxy.observed.body import Labels, sorted_labels
from mailproxy.observed.pod import Pod
from mailproxy.observed.service import Service


@dataclass(frozen=True)
class Selection:
    """Objects of one kind, of one namespace or all, by labels or by name."""

    resource: Resource
    namespace: str | None = None
    labels: Labels = ()
    name: str = ""


@dataclass(frozen=True)
class PodSet:
    """Pods of one namespace that carry all of `labels`."""

    namespace: str
    labels: Labels = ()

    @property
    def selection(self) -> Selection:
        """What to look for to find these pods."""
        return Selection(PODS, self.namespace, labels=self.labels)


def find_pod_set(
    spec: EdgeSpec, service: Service | None, remembered: PodSet | None
) -> PodSet | None:
    """Pods of the edge, by its own selector, else its Service's, else as it was known last.

    An edge whose Service is gone or misspelt keeps its pods, so that trust goes on following
    them: what worked before goes on working, and never on addresses of pods that are gone.
    """
    if spec.pod_selector is not None:
        return PodSet(spec.namespace, sorted_labels(spec.pod_selector.match_labels))
    if service is not None and service.selector:
        return PodSet(spec.namespace, service.selector)
    return remembered


def dump_pod_set(pod_set: PodSet | None) -> str:
    """Text for the annotation that remembers the edge's pods."""
    if pod_set is None:
        return ""
    content = {"namespace": pod_set.namespace, "labels": dict(pod_set.labels)}
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def load_pod_set(text: str) -> PodSet | None:
    """Read `dump_pod_set`'s text; None for anything else, as somebody may have edited it.

    What is read goes into label selectors and a NetworkPolicy, so it must be what Kubernetes
    itself would take: no other text may come out as another, wider selection.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match content:
        case {"namespace": str(namespace), "labels": dict(labels)}:
            is_selection = bool(labels) and all(starmap(_is_label, labels.items()))
            if is_selection and NAMESPACE.fullmatch(namespace):
                return PodSet(namespace, sorted_labels(labels))
    return None


def _is_label(key: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    return bool(LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value))


def needs_nodes(spec: TrustSpec, pods: Iterable[Pod]) -> bool:
    """Whether the answer depends on Node objects."""
    if spec.source == TrustSource.NODE_POD_CIDRS:
        return True
    return spec.source == TrustSource.PROXY_PODS and any(pod.host_network for pod in pods)


def find_client_pods(proxy: MailProxy) -> dict[str, PodSet]:
    """Where the pods of each internal client are, by its name."""
    return {
        client.name: PodSet(
            client.namespace or proxy.namespace, sorted_labels(client.pod_selector.match_labels)
        )
        for client in proxy.spec.internal_clients
    }


def find_mail_pods(proxy: MailProxy) -> PodSet:
    """Where the mail server's pods are."""
    return PodSet(proxy.namespace, sorted_labels(proxy.spec.mail_server.pod_selector.match_labels))


def find_workload(proxy: MailProxy) -> WorkloadRef | None:
    """The workload that a MailProxy wants changed; None if it wants none."""
    spec = proxy.spec.mail_server
    wants = spec.wiring == Wiring.INJECT or spec.trust_update == TrustUpdate.RESTART
    return spec.workload_ref if wants else None
