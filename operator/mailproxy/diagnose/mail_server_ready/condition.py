"""The condition itself: which pods there are, and what is wrong with them, in order."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.mail_server_ready.environment import (
    find_disabled_ipv6,
    find_permit_docker,
    find_plain_clients,
)
from mailproxy.diagnose.mail_server_ready.mounts import find_unmounted
from mailproxy.diagnose.mail_server_ready.reload import find_rejected, find_slow_refresh
from mailproxy.diagnose.mail_server_ready.restart import find_outdated
from mailproxy.diagnose.words import WAITS_FOR_ACCEPTANCE, describe_mail_pods
from mailproxy.identity import ObjectRef
from mailproxy.observed.kinds import WORKLOADS
from mailproxy.observed.pod import Pod

CONDITION = ConditionType.MAIL_SERVER_READY


def owns(proxy: MailProxy, ref: ObjectRef) -> bool:
    """The ConfigMap that the mail server reads, and the workload that mounts it."""
    return ref == ObjectRef("ConfigMap", proxy.overrides_name) or ref.kind in WORKLOADS


def inspect(case: Case) -> Iterator[Finding]:
    """The first thing that is wrong, else the first advice, else that all is well."""
    if case.has_conflict:
        yield Finding(CONDITION, Reason.PENDING, WAITS_FOR_ACCEPTANCE)
        return
    pods = sorted({pod for pod in case.world.mail_pods if pod.is_live}, key=lambda pod: pod.name)
    if not pods:
        message = (
            f"No live pod {describe_mail_pods(case.proxy)}. Start the mail server, or fix"
            " `spec.mailServer.podSelector`."
        )
        yield Finding(CONDITION, Reason.NO_MAIL_SERVER_PODS, message)
        return
    yield from _inspect_pods(case, pods)
    names = ", ".join(pod.name for pod in pods)
    exists = ObjectRef("ConfigMap", case.proxy.overrides_name) in case.world.children
    message = (
        f"All mail server pods ({names}) run the current overrides."
        if exists or case.plan.find_files(case.proxy.overrides_name)
        else f"All mail server pods ({names}) mount what there is; there are no overrides yet."
    )
    yield Finding(CONDITION, Reason.MOUNTED, message)


def _inspect_pods(case: Case, pods: list[Pod]) -> Iterator[Finding]:
    yield from find_unmounted(case, pods)
    yield from find_outdated(case, pods)
    yield from find_disabled_ipv6(case, pods)
    yield from find_plain_clients(case)
    yield from find_rejected(case)
    yield from find_permit_docker(case, pods)
    yield from find_slow_refresh(case)
