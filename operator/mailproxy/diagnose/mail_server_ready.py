"""`MailServerReady`: whether the mail server runs with our files, and nothing defeats them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mailproxy.api.conditions import ConditionStatus
from mailproxy.api.mail_server import TrustUpdate, Wiring, WorkloadRef
from mailproxy.api.mail_services import Listeners
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.observed.pod import Container, Pod
from mailproxy.observed.world import World
from mailproxy.plan.metadata import overrides_name
from mailproxy.plan.model import Plan, Problem
from mailproxy.plan.rollout.mounts import Wanted, find_gaps, find_wanted, render_manifest_lines
from mailproxy.plan.trust.networks import as_network

WORKLOAD_KINDS = frozenset({"Deployment", "StatefulSet"})


class Verdict(NamedTuple):
    """Status, reason and message of the condition."""

    status: ConditionStatus
    reason: Reason
    message: str


def is_about_workload(problem: Problem) -> bool:
    """Whether a problem belongs to this condition: it met the workload that is to be changed."""
    return problem.child[0] in WORKLOAD_KINDS


def judge_mail_server(
    proxy: MailProxy, world: World, plan: Plan, problems: Sequence[Problem]
) -> Verdict:
    """The first thing that is wrong, else the first advice, else that all is well."""
    if plan.conflict is not None:
        message = "Waits until the spec is accepted."
        return Verdict(ConditionStatus.UNKNOWN, Reason.PENDING, message)
    for problem in filter(is_about_workload, problems):
        return Verdict(ConditionStatus.FALSE, problem.reason, f"{problem.message}.")
    pods = sorted({pod for pod in world.mail_pods if pod.is_live}, key=lambda pod: pod.name)
    if not pods:
        labels = proxy.spec.mail_server.pod_selector.match_labels
        which = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        message = (
            f"No live pod with the labels {which} in namespace {proxy.namespace}: start the mail"
            " server, or mend `spec.mailServer.podSelector`."
        )
        return Verdict(ConditionStatus.UNKNOWN, Reason.NO_MAIL_SERVER_PODS, message)
    faults = _find_faults(proxy, world, plan, pods)
    for reason, message in faults:
        return Verdict(ConditionStatus.FALSE, reason, message)
    for reason, message in _find_advice(world, proxy, pods):
        return Verdict(ConditionStatus.TRUE, reason, message)
    names = ", ".join(pod.name for pod in pods)
    message = f"Every pod of the mail server ({names}) has started with mailproxy's files."
    return Verdict(ConditionStatus.TRUE, Reason.MOUNTED, message)


Told = Iterator[tuple[Reason, str]]


def _find_faults(proxy: MailProxy, world: World, plan: Plan, pods: list[Pod]) -> Told:
    wanted = find_wanted(proxy, world, plan)
    for pod in pods if wanted else ():
        if wanted and (message := _explain_mounts(proxy, pod, wanted)):
            yield Reason.OVERRIDES_NOT_MOUNTED, message
    overrides = world.children.get(("ConfigMap", overrides_name(proxy)))
    for pod in pods if overrides else ():
        if overrides and (message := _explain_age(proxy, pod, overrides.changed_at)):
            yield Reason.RESTART_PENDING, message
    is_dual = any(address.version == 6 for pod in plan.edge.pods for address in pod.addresses)
    for pod in pods if is_dual else ():
        if _read_setting(proxy, pod, "POSTFIX_INET_PROTOCOLS") == "ipv4":
            yield Reason.IPV6_DISABLED, _explain_ipv6(pod)
    if proxy.spec.listeners == Listeners.SHARED and proxy.spec.internal_clients:
        yield Reason.PLAIN_CLIENTS_REJECTED, _explain_plain_clients(proxy)
    if message := _explain_disbelief(proxy, world, plan):
        yield Reason.RELOAD_PENDING, message


def find_container(pod: Pod, name: str | None) -> Container | None:
    """The container in which the mail server runs: the one of that name, without name the first."""
    return next((c for c in pod.containers if name in (None, c.name)), None)


def _read_setting(proxy: MailProxy, pod: Pod, name: str) -> str:
    """A variable of the mail container; empty when it is absent or not a literal."""
    container = find_container(pod, proxy.spec.mail_server.container_name)
    return dict(container.environment).get(name, "").strip() if container else ""


def _explain_mounts(proxy: MailProxy, pod: Pod, wanted: Wanted) -> str:
    """Which mounts a pod lacks, and what to add; empty when none."""
    spec = proxy.spec.mail_server
    container = find_container(pod, spec.container_name)
    if container is None:
        names = ", ".join(c.name for c in pod.containers)
        return (
            f"Pod {pod.name} has no container `{spec.container_name}`, but {names}: mend"
            " `spec.mailServer.containerName`."
        )
    gaps = find_gaps(pod, container, wanted)
    if not gaps:
        return ""
    faults = f"Pod {pod.name} {'; it '.join(gap.fault for gap in gaps)}."
    if spec.wiring == Wiring.INJECT and spec.workload_ref:
        return (
            f"{faults} The operator has put the mounts into {_describe(spec.workload_ref)}: pods"
            " that it makes from now on have them; delete this one if it stays."
        )
    lines = render_manifest_lines(pod, container, gaps, wanted)
    return f"{faults} Its pod template must have: {lines}; or set `spec.mailServer.wiring: Inject`."


def _explain_age(proxy: MailProxy, pod: Pod, changed_at: str) -> str:
    """Why a pod must be restarted; empty when it must not. Texts in RFC 3339 sort like times."""
    spec = proxy.spec.mail_server
    container = find_container(pod, spec.container_name)
    if container is None or not container.started_at or container.started_at >= changed_at:
        return ""
    if ref := spec.workload_ref:
        remedy = f"kubectl rollout restart {ref.kind.lower()}/{ref.name} -n {proxy.namespace}"
    else:
        remedy = f"kubectl delete pod {pod.name} -n {proxy.namespace}"
        remedy = f"kubectl rollout restart` for its Deployment or StatefulSet, or `{remedy}"
    return (
        f"Pod {pod.name} started at {container.started_at} and ConfigMap {overrides_name(proxy)}"
        f" has changed since, at {changed_at}; the mail server reads it only when it starts:"
        f" `{remedy}`."
    )


def _describe(ref: WorkloadRef) -> str:
    return f"{ref.kind} {ref.name}"


def _explain_ipv6(pod: Pod) -> str:
    return (
        f"Pod {pod.name} has POSTFIX_INET_PROTOCOLS=ipv4 and the edge has IPv6 addresses: Postfix"
        " refuses every client whose address is IPv6. Set POSTFIX_INET_PROTOCOLS to all, or leave"
        " it out."
    )


def _explain_plain_clients(proxy: MailProxy) -> str:
    names = ", ".join(sorted(client.name for client in proxy.spec.internal_clients))
    return (
        "With `spec.listeners: Shared` the normal ports refuse every client without a PROXY"
        f" header, and so those of `spec.internalClients` ({names}). Set `spec.listeners` to"
        " `Separate`, or leave them out."
    )


_REMEDIES = {
    TrustUpdate.RELOAD: "it takes the list over by itself, within a minute and a half at most; if"
    " this stays, the container's log says why: look for `mailproxy:`",
    TrustUpdate.RESTART: "the operator restarts it (`spec.mailServer.trustUpdate: Restart`); wait"
    " until it is up again",
    TrustUpdate.MANUAL: "run `doveadm reload` in its container, a minute and a half after the"
    " change at the latest (`spec.mailServer.trustUpdate: Manual`)",
}


def _explain_disbelief(proxy: MailProxy, world: World, plan: Plan) -> str:
    """Which proxy pods are trusted, but not believed by the mail server yet; empty when none is."""
    trusted = set(plan.trust.networks)
    found = [
        f"{pod.name} ({address})"
        for pod in plan.edge.pods
        for address in pod.addresses
        if world.beliefs.get(address) is False and as_network(address) in trusted
    ]
    if not found:
        return ""
    remedy = _REMEDIES[proxy.spec.mail_server.trust_update]
    return f"The mail server does not believe proxy pod {', '.join(found)} yet: {remedy}."


def _find_advice(world: World, proxy: MailProxy, pods: list[Pod]) -> Told:
    for pod in pods:
        permitted = _read_setting(proxy, pod, "PERMIT_DOCKER")
        if permitted not in ("", "none"):
            yield Reason.PERMIT_DOCKER, _explain_permit(pod, permitted)
    if world.poke_allowed is False:
        message = (
            "The operator may not annotate the mail server's pods, so a change of trust takes up"
            " to 90 s to reach it instead of a second. Install manifests/components/poke, which"
            " grants that and nothing else."
        )
        yield Reason.POKE_NOT_ALLOWED, message


def _explain_permit(pod: Pod, permitted: str) -> str:
    whose = {
        "host": "in the /16 network around its own",
        "container": "at its own address",
        "network": "in 172.16.0.0/12",
        "connected-networks": "in the networks that it is connected to",
    }.get(permitted, "in the networks that it stands for")
    return (
        f"Pod {pod.name} has PERMIT_DOCKER={permitted}: whoever connects to port 25 itself from an"
        f" address {whose} may send mail to anybody through it, without a password. The PROXY ports"
        " give no such right. Set PERMIT_DOCKER to none unless that is what you want."
    )
