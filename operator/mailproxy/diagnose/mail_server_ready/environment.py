"""What in the mail server's environment or the spec keeps clients out or lets them in."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mail_services import Listeners
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.observed.pod import Pod
from mailproxy.plan.rollout.mounts import find_container

# What each value of docker-mailserver's PERMIT_DOCKER lets relay.
_PERMITTED = {
    "host": "in the /16 network around the pod's own",
    "container": "equal to the pod's own",
    "network": "in 172.16.0.0/12",
    "connected-networks": "in the networks that the pod is connected to",
}


def find_disabled_ipv6(case: Case, pods: list[Pod]) -> Iterator[Finding]:
    """Pods whose Postfix refuses IPv6 behind an edge that has it."""
    addresses = [address for pod in case.plan.edge.pods for address in pod.addresses]
    has_ipv6 = any(address.version == 6 for address in addresses)
    for pod in pods if has_ipv6 else ():
        if _read_variable(case.proxy, pod, "POSTFIX_INET_PROTOCOLS") == "ipv4":
            message = (
                f"Pod {pod.name} has POSTFIX_INET_PROTOCOLS=ipv4 and the edge has IPv6 addresses:"
                " Postfix refuses every client whose address is IPv6. Set POSTFIX_INET_PROTOCOLS"
                " to all, or remove it."
            )
            yield Finding(ConditionType.MAIL_SERVER_READY, Reason.IPV6_DISABLED, message)


def find_plain_clients(case: Case) -> Iterator[Finding]:
    """Internal clients that have no port to connect to."""
    spec = case.proxy.spec
    if spec.listeners == Listeners.SHARED and spec.internal_clients:
        names = ", ".join(sorted(client.name for client in spec.internal_clients))
        message = (
            "With `spec.listeners: Shared` the normal ports refuse every client without a PROXY"
            f" header, including those of `spec.internalClients` ({names}). Set `spec.listeners` to"
            " `Separate`, or remove them."
        )
        yield Finding(ConditionType.MAIL_SERVER_READY, Reason.PLAIN_CLIENTS_REJECTED, message)


def find_permit_docker(case: Case, pods: list[Pod]) -> Iterator[Finding]:
    """Pods that let others relay by their address alone."""
    for pod in pods:
        value = _read_variable(case.proxy, pod, "PERMIT_DOCKER")
        if value not in ("", "none"):
            whose = _PERMITTED.get(value, "in the networks that it stands for")
            message = (
                f"Pod {pod.name} has PERMIT_DOCKER={value}: whoever connects to port 25 itself from"
                f" an address {whose} may send mail to anybody through it, without a password. The"
                " PROXY ports give no such right. Set PERMIT_DOCKER to none unless you want that."
            )
            yield Finding(ConditionType.MAIL_SERVER_READY, Reason.PERMIT_DOCKER, message)


def _read_variable(proxy: MailProxy, pod: Pod, name: str) -> str:
    """A variable of the mail container; empty if it is absent or not a literal."""
    container = find_container(pod, proxy.spec.mail_server.container_name)
    return dict(container.environment).get(name, "").strip() if container else ""
