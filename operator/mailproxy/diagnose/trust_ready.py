"""`TrustReady`: the trusted networks are exactly the edge's live addresses."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import TrustSource
from mailproxy.api.status import MAX_TRUSTED_NETWORKS
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.words import WAITS_FOR_ACCEPTANCE, count
from mailproxy.identity import ObjectRef
from mailproxy.plan.trust.clients import Clients
from mailproxy.plan.trust.networks import Trust

CONDITION = ConditionType.TRUST_READY


def owns(proxy: MailProxy, ref: ObjectRef) -> bool:
    """The ConfigMap that lists the trusted networks."""
    return ref == ObjectRef("ConfigMap", proxy.trust_name)


def inspect(case: Case) -> Iterator[Finding]:
    """Who is missing from the list, and who is on it beside the proxy pods."""
    trust = case.plan.trust
    if case.has_conflict and not case.plan.children:
        yield Finding(CONDITION, Reason.PENDING, WAITS_FOR_ACCEPTANCE)
        return
    yield from _find_missing(trust)
    yield from _find_too_many_clients(case.plan.clients)
    yield from _find_wide(case.proxy, trust)
    message = f"{count(len(trust.networks), 'address')} trusted: {_describe_sources(case.proxy)}."
    yield Finding(CONDITION, Reason.UP_TO_DATE, message)


def _describe_sources(proxy: MailProxy) -> str:
    """Where the trusted addresses come from."""
    source = {
        TrustSource.PROXY_PODS: "of the proxy pods",
        TrustSource.NODE_POD_CIDRS: "of the proxy pods' nodes",
        TrustSource.NONE: "",
    }[proxy.spec.trust.source]
    named = "of `spec.trust.networks`" if proxy.spec.trust.networks else ""
    return " and ".join(filter(None, (source, named)))


def _find_missing(trust: Trust) -> Iterator[Finding]:
    """Why the edge, or a part of it, is not trusted."""
    if trust.too_many:
        message = (
            f"{trust.too_many} trusted networks are more than the {MAX_TRUSTED_NETWORKS} that"
            " Dovecot can read, so nobody is trusted. Run fewer proxy pods, or cover them with"
            " `spec.trust.networks` and `spec.trust.from: None`."
        )
        yield Finding(CONDITION, Reason.TOO_MANY_ADDRESSES, message)
    elif trust.silent_nodes:
        message = (
            f"Node {', '.join(trust.silent_nodes)} reports no usable address or pod CIDR"
            " (`status.addresses`, `spec.podCIDRs`). Set `spec.trust.from` to another source, such"
            " as `None` with the node's networks in `spec.trust.networks`."
        )
        yield Finding(CONDITION, Reason.NO_NODE_ADDRESSES, message)
    elif not trust.networks:
        message = (
            "Nobody is trusted: no live proxy pod has an address yet. Start the edge, fix"
            " `spec.edge`, or name networks in `spec.trust.networks`."
        )
        yield Finding(CONDITION, Reason.NO_PROXY_PODS, message)


def _find_too_many_clients(clients: Clients | None) -> Iterator[Finding]:
    """Why no internal client counts."""
    if clients is not None and clients.too_many:
        message = (
            f"`spec.internalClients` select pods with {clients.too_many} addresses, more than the"
            f" {MAX_TRUSTED_NETWORKS} that Dovecot can read, so none of them counts. Select fewer"
            " with their labels."
        )
        yield Finding(CONDITION, Reason.TOO_MANY_ADDRESSES, message)


def _find_wide(proxy: MailProxy, trust: Trust) -> Iterator[Finding]:
    """Who is trusted beside the proxy pods."""
    if trust.host_nodes and proxy.spec.trust.source == TrustSource.PROXY_PODS:
        message = (
            f"Proxy pods run with hostNetwork on {', '.join(trust.host_nodes)}: every process there"
            " is trusted. Run the edge without hostNetwork to narrow it."
        )
        yield Finding(CONDITION, Reason.HOST_NETWORK, message)
    wide = [str(network) for network in trust.networks if network.num_addresses > 1]
    if wide:
        message = (
            f"Every host in {', '.join(wide)} is trusted, not only the proxy pods. Where you can,"
            " use `spec.trust.from: ProxyPods` and single hosts in `spec.trust.networks`."
        )
        yield Finding(CONDITION, Reason.WIDE_NETWORK, message)
