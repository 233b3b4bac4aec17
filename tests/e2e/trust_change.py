"""Mail servers whose list of trusted proxies changes while they run, and what is seen meanwhile."""

import imaplib
import ssl
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mailproxy.api.mail_services import PortName
from tests.cluster.scene import INSIDER, Scene
from tests.cluster.workloads import PASSWORD, PROXY_LABELS, build_pod, find_mailbox
from tests.controlplane.api import Manifest, wait_for
from tests.e2e.port_probe import Finding, Request, knock
from tests.e2e.proxy_header import Endpoint, version_2

COMER = "comer"
IMAP_PORT, SUBMISSION_PORT = 10143, 10587
KNOCK_SECONDS = 20.0
FAIL2BAN_SECONDS = 40.0
JAILS = ("postfix", "dovecot")
WATCH_SECONDS = 40.0


@dataclass(frozen=True)
class Change:
    """What was seen while a pod of the edge came and went.

    Attributes:
        comer: Addresses of that pod.
        came, went: What it found at `IMAP_PORT` and at `SUBMISSION_PORT`, until it was greeted, and
            until it was refused.
        steady: What another pod of the edge found at `IMAP_PORT` all the time.
        ignored, ignored_later: What Fail2ban ignored when that pod had come, and when it had gone.
        session: What an IMAP client got that was in IDLE meanwhile.
        log: What the watcher has printed.
    """

    comer: list[str]
    came: list[Finding]
    went: list[Finding]
    steady: list[Finding]
    ignored: set[str]
    ignored_later: set[str]
    session: str
    log: list[str]

    def first(self, findings: list[Finding], port: int, state: str) -> float:
        """When a port first was in this state."""
        times = [one.at for one in findings if (one.port, one.state) == (port, state)]
        assert times, f"{port} never was {state}: {findings}"
        return times[0]


def play_change(scene: Scene) -> Change:
    """Let a pod become one of the edge's, and then leave it; its address stays its own."""
    session = _begin_idling(scene)
    since = scene.log_size()
    with ThreadPoolExecutor(1) as pool:
        steady = pool.submit(_knock, scene, INSIDER, "never", [IMAP_PORT], 15.0)
        scene.apply(build_pod(scene.edge, COMER, ready=False))
        comer = scene.pod_addresses(scene.edge, COMER)
        came = _follow(scene, "greeted", PROXY_LABELS)
        ignored = wait_for_ignored(scene, comer, ignored=True)
        went = _follow(scene, "refused", dict.fromkeys(PROXY_LABELS))
        ignored_later = wait_for_ignored(scene, comer, ignored=False)
        seen = steady.result()
    log = [line for line in scene.logs(since=since).splitlines() if "mailproxy: " in line]
    return Change(comer, came, went, seen, ignored, ignored_later, _end_idling(session), log)


def change_labels(scene: Scene, pod: str, labels: Manifest) -> None:
    """Of a pod of the edge; None takes one away."""
    patch = {"metadata": {"labels": labels}}
    scene.cluster.api.merge_patch("Pod", pod, patch, scene.edge)


def wait_for_ignored(scene: Scene, addresses: list[str], *, ignored: bool) -> set[str]:
    """Wait until all jails ignore these addresses, or none does; returns what they ignore."""

    def is_so() -> bool:
        return all((set(addresses) <= find_ignored(scene, j)) == ignored for j in JAILS)

    wait_for(is_so, FAIL2BAN_SECONDS, lambda: find_ignored(scene, JAILS[0]), interval=1)
    return set.union(*(find_ignored(scene, jail) for jail in JAILS))


def find_ignored(scene: Scene, jail: str) -> set[str]:
    """What a jail of the running Fail2ban ignores."""
    output = scene.run_in_mail_server("fail2ban-client", "get", jail, "ignoreip")
    return {line[3:] for line in output.splitlines() if line.startswith(("|- ", "`- "))}


def _follow(scene: Scene, until: str, labels: Manifest) -> list[Finding]:
    """What a pod finds that gets these labels when it is knocking already."""
    with ThreadPoolExecutor(1) as pool:
        ports = [IMAP_PORT, SUBMISSION_PORT]
        scene.wait_until_running(scene.edge, COMER)
        findings: Future[list[Finding]] = pool.submit(_knock, scene, COMER, until, ports)
        marks = [f"{mark_of(COMER, until)}-{port}" for port in ports]
        look = scene.run_in(scene.edge, COMER, check=False)
        wait_for(
            lambda: len(look(["ls", *marks], "").split()) == len(marks),
            KNOCK_SECONDS,
            "it has knocked at all ports",
            interval=0.2,
        )
        change_labels(scene, COMER, labels)
        return findings.result()


def _knock(
    scene: Scene, pod: str, until: str, ports: list[int], seconds: float = WATCH_SECONDS
) -> list[Finding]:
    own = scene.pod_addresses(scene.edge, pod)[0]
    host = scene.pod_addresses(scene.mail, scene.mail_pod()["metadata"]["name"])[0]
    header = version_2(Endpoint(own, 4000), Endpoint(host, 143)).hex()
    request = Request(host, ports, header, until, seconds, mark_of(pod, until))
    return knock(request, scene.run_in(scene.edge, pod))


def mark_of(pod: str, until: str) -> str:
    """What tells in a pod that it is knocking."""
    return f"/tmp/{pod}-knocks-until-{until}"


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
