"""`TrustReady`: whether the trust list is exactly the edge's addresses."""

from collections.abc import Sequence

from mailproxy.api.conditions import ConditionType
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import TrustSource
from mailproxy.api.status import MAX_TRUSTED_NETWORKS
from mailproxy.diagnose.finding import _FALSE, _TRUE, _UNKNOWN, Finding
from mailproxy.diagnose.words import count_things, explain_problems
from mailproxy.plan.metadata import trust_name
from mailproxy.plan.model import Plan, Problem
from mailproxy.plan.trust.clients import Clients
from mailproxy.plan.trust.networks import Trust


def judge_trust(proxy: MailProxy, plan: Plan, problems: Sequence[Problem]) -> Finding:
    type_, trust = ConditionType.TRUST_READY, plan.trust
    child = ("ConfigMap", trust_name(proxy))
    for problem in problems:
        if problem.child == child:
            return Finding(type_, _FALSE, problem.reason, explain_problems([problem]))
    if plan.conflict is not None and not plan.children:
        return Finding(type_, _UNKNOWN, Reason.PENDING, "Waits until the spec is accepted.")
    if advice := _explain_lack(trust) or _explain_crowd(plan.clients):
        return Finding(type_, _FALSE, *advice)
    if trust.host_nodes and proxy.spec.trust.source == TrustSource.PROXY_PODS:
        message = (
            f"Proxy pods use the network of {', '.join(trust.host_nodes)}: every process on these"
            " nodes is trusted like the proxy. Run the edge without hostNetwork to narrow it."
        )
        return Finding(type_, _TRUE, Reason.HOST_NETWORK, message)
    wide = [str(network) for network in trust.networks if network.num_addresses > 1]
    if wide:
        message = (
            f"Everybody in {', '.join(wide)} is trusted, not the proxy pods alone. Where you can,"
            " use `spec.trust.from: ProxyPods` and single hosts in `spec.trust.networks`."
        )
        return Finding(type_, _TRUE, Reason.WIDE_NETWORK, message)
    message = f"{count_things(len(trust.networks), 'address')} trusted, and no network."
    return Finding(type_, _TRUE, Reason.UP_TO_DATE, message)


def _explain_lack(trust: Trust) -> tuple[Reason, str] | None:
    """Why the edge, or a part of it, is not trusted; None when all of it is."""
    if trust.too_many:
        return Reason.TOO_MANY_ADDRESSES, (
            f"{trust.too_many} trusted networks are more than the {MAX_TRUSTED_NETWORKS} that"
            " Dovecot can read, so nobody is trusted. Run fewer proxy pods, or cover them with"
            " `spec.trust.networks` and `spec.trust.from: None`."
        )
    if trust.silent_nodes:
        return Reason.NO_NODE_ADDRESSES, (
            f"Nothing to trust is known of node {', '.join(trust.silent_nodes)}: it has no"
            " `status.addresses` or no `spec.podCIDRs`. Set `spec.trust.from` to another source,"
            " such as `None` with the node's networks in `spec.trust.networks`."
        )
    if not trust.networks:
        return Reason.NO_PROXY_PODS, (
            "Nobody is trusted: no live proxy pod has an address yet. Start the edge, mend"
            " `spec.edge`, or name networks in `spec.trust.networks`."
        )
    return None


def _explain_crowd(clients: Clients | None) -> tuple[Reason, str] | None:
    """Why no internal client counts; None when all do."""
    if clients is None or not clients.too_many:
        return None
    return Reason.TOO_MANY_ADDRESSES, (
        f"`spec.internalClients` find pods with {clients.too_many} addresses, more than the"
        f" {MAX_TRUSTED_NETWORKS} that Dovecot can read, so none of them counts. Choose fewer by"
        " their labels."
    )
