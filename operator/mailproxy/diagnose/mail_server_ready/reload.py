"""Whether the running mail server follows the list, and how soon."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mail_server import TrustUpdate
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.plan.trust.networks import as_network

_REMEDIES = {
    TrustUpdate.RELOAD: "It reloads by itself within a minute and a half. If this stays, the"
    " container's log says why: look for `mailproxy:`.",
    TrustUpdate.RESTART: "The operator restarts it (`spec.mailServer.trustUpdate: Restart`): wait"
    " until it is up again.",
    TrustUpdate.MANUAL: "Run `doveadm reload` in its container, a minute and a half after the"
    " change at the latest (`spec.mailServer.trustUpdate: Manual`).",
}


def find_rejected(case: Case) -> Iterator[Finding]:
    """Proxy pods that are trusted, and whose PROXY header the mail server rejects."""
    trusted = set(case.plan.trust.networks)
    found = [
        f"{pod.name} ({address})"
        for pod in case.plan.edge.pods
        for address in pod.addresses
        if case.evidence.header_accepted.get(address) is False and as_network(address) in trusted
    ]
    if found:
        message = (
            f"The mail server still rejects PROXY headers from proxy pod {', '.join(found)}."
            f" {_REMEDIES[case.proxy.spec.mail_server.trust_update]}"
        )
        yield Finding(ConditionType.MAIL_SERVER_READY, Reason.RELOAD_PENDING, message)


def find_slow_refresh(case: Case) -> Iterator[Finding]:
    """Advice if the operator may not make the kubelet refresh the volume."""
    if case.evidence.volume_refresh_allowed is False:
        message = (
            "The operator may not annotate the mail server's pods, so a change of trust takes up"
            " to 90 s to reach it instead of a second. Install manifests/components/volume-refresh,"
            " which grants that and nothing else."
        )
        yield Finding(ConditionType.MAIL_SERVER_READY, Reason.VOLUME_REFRESH_NOT_ALLOWED, message)
