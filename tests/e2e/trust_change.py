"""Changes the trusted proxies of a running mail server, and observes it meanwhile."""

import imaplib
import ssl
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mailproxy.api.mail_services import PortName
from tests.cluster.scene import INSIDER, Scene
from tests.cluster.workloads import PASSWORD, PROXY_LABELS, build_pod, find_mailbox
from tests.controlplane.api import Manifest, wait_for
from tests.e2e.port_probe import PortState, ProbeRequest, probe_ports
from tests.e2e.proxy_header import Endpoint, version_2
from tests.e2e.replacement import CLIENT_SECONDS

JOINING_POD = "joining-pod"
IMAP_PORT, SUBMISSION_PORT = 10143, 10587
FIRST_PROBE_SECONDS = 60.0
FAIL2BAN_SECONDS = 120.0
JAILS = ("postfix", "dovecot")
PROBE_SECONDS = 110.0  # a command in a pod may take 120


@dataclass(frozen=True)
class Change:
    """Observations while a pod joined the edge and left it.

    Attributes:
        addresses: Of that pod.
        joining, leaving: States of `IMAP_PORT` and `SUBMISSION_PORT` for that pod, until it was
            greeted, and until it was refused.
        steady: States of `IMAP_PORT` for another pod of the edge, all the time.
        ignored, ignored_later: Addresses that Fail2ban ignored after the pod had joined, and after
            it had left.
        session: Answers to an IMAP client that was in IDLE meanwhile.
        log: Lines of the watcher.
    """

    addresses: list[str]
    joining: list[PortState]
    leaving: list[PortState]
    steady: list[PortState]
    ignored: set[str]
    ignored_later: set[str]
    session: str
    log: list[str]

    def first(self, states: list[PortState], port: int, state: str) -> float:
        """When a port first was in this state."""
        times = [one.at for one in states if (one.port, one.state) == (port, state)]
        assert times, f"{port} never was {state}: {states}"
        return times[0]


def run_change(scene: Scene) -> Change:
    """Let a pod join the edge and leave it again, by its labels; it keeps its addresses."""
    session = _begin_idling(scene)
    since = scene.log_size()
    with ThreadPoolExecutor(1) as pool:
        steady = pool.submit(_probe, scene, INSIDER, "end", [IMAP_PORT])
        scene.apply(build_pod(scene.edge, JOINING_POD, ready=False))
        addresses = scene.pod_addresses(scene.edge, JOINING_POD)
        joining = _change_and_probe(scene, "greeted", PROXY_LABELS)
        ignored = wait_for_ignored(scene, addresses, ignored=True)
        leaving = _change_and_probe(scene, "refused", dict.fromkeys(PROXY_LABELS))
        scene.run_in(scene.edge, INSIDER)(["touch", f"{mark_of(INSIDER, 'end')}-end"], "")
        ignored_later = wait_for_ignored(scene, addresses, ignored=False)
        states = steady.result()
    log = [line for line in scene.logs(since=since).splitlines() if "mailproxy: " in line]
    answers = _end_idling(session)
    return Change(addresses, joining, leaving, states, ignored, ignored_later, answers, log)


def change_labels(scene: Scene, pod: str, labels: Manifest) -> None:
    """Change labels of a pod of the edge; None removes one."""
    patch = {"metadata": {"labels": labels}}
    scene.cluster.api.merge_patch("Pod", pod, patch, scene.edge)


def wait_for_ignored(scene: Scene, addresses: list[str], *, ignored: bool) -> set[str]:
    """Wait until all jails ignore these addresses, or none does; returns what they ignore."""

    def is_so() -> bool:
        return all((set(addresses) <= find_ignored(scene, j)) == ignored for j in JAILS)

    wait_for(is_so, FAIL2BAN_SECONDS, lambda: find_ignored(scene, JAILS[0]), interval=1)
    return set.union(*(find_ignored(scene, jail) for jail in JAILS))


def find_ignored(scene: Scene, jail: str) -> set[str]:
    """Addresses that a jail of the running Fail2ban ignores."""
    output = scene.run_in_mail_server("fail2ban-client", "get", jail, "ignoreip")
    return {line[3:] for line in output.splitlines() if line.startswith(("|- ", "`- "))}


def _change_and_probe(scene: Scene, until: str, labels: Manifest) -> list[PortState]:
    """Give the pod these labels while it probes the ports; returns what it observes."""
    with ThreadPoolExecutor(1) as pool:
        ports = [IMAP_PORT, SUBMISSION_PORT]
        scene.wait_until_running(scene.edge, JOINING_POD)
        states: Future[list[PortState]] = pool.submit(_probe, scene, JOINING_POD, until, ports)
        marks = [f"{mark_of(JOINING_POD, until)}-{port}" for port in ports]
        run = scene.run_in(scene.edge, JOINING_POD, check=False)
        wait_for(
            lambda: len(run(["ls", *marks], "").split()) == len(marks),
            FIRST_PROBE_SECONDS,
            "a first connection to each port",
            interval=0.2,
        )
        change_labels(scene, JOINING_POD, labels)
        return states.result()


def _probe(scene: Scene, pod: str, until: str, ports: list[int]) -> list[PortState]:
    own = scene.pod_addresses(scene.edge, pod)[0]
    host = scene.pod_addresses(scene.mail, scene.mail_pod()["metadata"]["name"])[0]
    header = version_2(Endpoint(own, 4000), Endpoint(host, 143)).hex()
    request = ProbeRequest(
        host, ports, header, until, CLIENT_SECONDS, PROBE_SECONDS, mark_of(pod, until)
    )
    return probe_ports(request, scene.run_in(scene.edge, pod))


def mark_of(pod: str, until: str) -> str:
    """File in the pod that shows that it is probing."""
    return f"/tmp/{pod}-probes-until-{until}"


def _begin_idling(scene: Scene) -> imaplib.IMAP4_SSL:
    context = ssl._create_unverified_context()
    client = imaplib.IMAP4_SSL(scene.addresses[0], 993, ssl_context=context, timeout=60)
    client.login(find_mailbox(PortName.IMAPS), PASSWORD)
    client.select()
    client.send(b"idle1 IDLE\r\n")
    assert client.readline().startswith(b"+")
    return client


def _end_idling(client: imaplib.IMAP4_SSL) -> str:
    client.send(b"DONE\r\n")
    line = client.readline()
    while line.startswith(b"*"):
        line = client.readline()
    answer = f"{line.decode().strip()}; NOOP {client.noop()[0]}"
    client.logout()
    return answer
