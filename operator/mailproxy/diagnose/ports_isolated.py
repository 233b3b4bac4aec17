"""`PortsIsolated`: a NetworkPolicy admits only the edge to the PROXY ports."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import Switch
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.words import WAITS_FOR_ACCEPTANCE
from mailproxy.identity import ObjectRef
from mailproxy.observed.kinds import NETWORK_POLICIES
from mailproxy.plan.metadata import policy_name
from mailproxy.plan.trust.networks import sort_networks

CONDITION = ConditionType.PORTS_ISOLATED


def owns(proxy: MailProxy, ref: ObjectRef) -> bool:
    """The NetworkPolicy."""
    del proxy
    return ref.kind == NETWORK_POLICIES.kind


def inspect(case: Case) -> Iterator[Finding]:
    """Whether there is a policy; whether the network enforces it is not looked at."""
    if case.has_conflict:
        yield Finding(CONDITION, Reason.PENDING, WAITS_FOR_ACCEPTANCE)
    elif case.proxy.spec.network_policy == Switch.DISABLED:
        message = (
            "`spec.networkPolicy` is `Disabled`: unless a policy of your own forbids it, any pod"
            " can reach the PROXY ports and forge a client address towards Postfix. Set it to"
            " `Enabled` to guard them."
        )
        yield Finding(CONDITION, Reason.POLICY_DISABLED, message)
    else:
        networks = ", ".join(map(str, sort_networks(case.proxy.spec.trust.networks)))
        whom = f"the edge and {networks}" if networks else "the edge"
        message = (
            f"NetworkPolicy {policy_name(case.proxy)} admits only {whom} to the PROXY ports."
            " Whether the cluster's network enforces it is not checked."
        )
        yield Finding(CONDITION, Reason.POLICY_APPLIED, message)
