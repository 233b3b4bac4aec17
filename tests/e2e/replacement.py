"""Replaces pods of the edge, and measures how soon the mail server follows.

Times count from the moment this process learns of a change from the API server, so they include
the whole chain: watch, ConfigMap, kubelet, watcher, reload.
"""

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mailproxy.api.mail_services import PortName
from tests.cluster.scene import Scene
from tests.cluster.workloads import NAME, PASSWORD, PROXY_LABELS, find_mailbox
from tests.controlplane.api import Manifest, wait_for
from tests.controlplane.conditions import is_ready
from tests.controlplane.edge import ENTRY_POINTS
from tests.e2e import server_log
from tests.e2e.mailbox_clients import Request, run_session
from tests.e2e.proxy_header import Endpoint, version_2
from tests.e2e.server_log import Interval
from tests.e2e.services import SERVICES, proxy_port

REPLACEMENTS = int(os.environ.get("REPLACEMENTS", "3"))  # for each mail server
REPLICAS = {"replicas": 2, "drain_seconds": 10}  # of Traefik, if its pods are replaced
SETTLE_SECONDS = 120.0
LOG_SECONDS = 60.0
CLIENT_SECONDS = 60  # for each answer: the least that mail programs grant
# Traefik stays silent on a connection that it has accepted before it had routes, so that a client
# has to try again. If it never waits longer, it may never be greeted: the server starts a process
# for each connection, also for those that were given up.
SHORTEST_PATIENCE, GROWTH = 0.2, 1.5
REJECTION_PATIENCE, REJECTION_PAUSE = 3.0, 0.03  # each connection costs Dovecot a process
POLL_SECONDS = 0.01
# Not the pods that `build_pod` adds to the edge.
TRAEFIK = ",".join([f"!{NAME}", *(f"{key}={value}" for key, value in PROXY_LABELS.items())])
IMAP = ENTRY_POINTS["imap"]


@dataclass
class Times:
    """Seconds, one for each replacement.

    Attributes:
        reloaded: From "the new pod has an address" until Dovecot has reloaded with it.
        accepted: From then too until a login through that pod succeeds; includes its start.
        rejected: From "the old pod is gone" until headers from its old addresses are rejected.
        rejections: What is still being timed of these.
    """

    reloaded: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    rejected: list[float] = field(default_factory=list)
    rejections: list[Future[float]] = field(default_factory=list)

    def summaries(self) -> list[str]:
        """Median and maximum of each, for the report."""
        names = {
            "edge pod has an address -> Dovecot has reloaded": self.reloaded,
            "edge pod has an address -> login": self.accepted,
            "edge pod gone -> address rejected": self.rejected,
        }
        return [_summarize(name, seconds) for name, seconds in names.items()]


def find_edge_pods(scene: Scene) -> dict[str, Manifest]:
    """Traefik's live pods by name."""
    return {pod["metadata"]["name"]: pod for pod in scene.live_pods(scene.edge, TRAEFIK)}


def addresses_of(pod: Manifest) -> list[str]:
    """IPv4 and IPv6; empty before the kubelet has reported them."""
    return [entry["ip"] for entry in pod["status"].get("podIPs", [])]


def log_in(address: str, port: int, delay: float = 0.0) -> str:
    """Log in by IMAP `delay` seconds after connecting; returns the error, or nothing."""
    user = find_mailbox("imap")
    session = run_session(
        Request("imap", address, port, user, PASSWORD, login_delay=delay, timeout=CLIENT_SECONDS)
    )
    return "" if session.logged_in else session.error or session.greeting


def read_greeting(address: str, port: int, patience: float = CLIENT_SECONDS) -> str:
    """Connect: `greeted`, `closed` without a greeting or `silent`."""
    try:
        with socket.create_connection((address, port), patience) as connection:
            return "greeted" if connection.recv(1) else "closed"
    except TimeoutError:
        return "silent"
    except OSError:
        return "closed"


def replace_pod(scene: Scene, name: str, times: Times, pool: Executor) -> str:
    """Delete a pod of Traefik, and time its successor; returns the name of that.

    The old pod may still be draining; `pool` times the rejection of its addresses.
    """
    known, since = find_edge_pods(scene), scene.log_size()
    old = addresses_of(known[name])
    scene.cluster.api.delete("Pod", name, scene.edge)
    times.rejections.append(pool.submit(time_rejection, scene, name, old, since))

    def find_new_pod() -> Manifest | None:
        pods = find_edge_pods(scene)
        return next((p for n, p in pods.items() if n not in known and addresses_of(p)), None)

    new_pod = wait_for(find_new_pod, SETTLE_SECONDS, "a new pod", interval=POLL_SECONDS)
    assert new_pod
    began, (address, *_) = time.time(), addresses_of(new_pod)
    times.accepted.append(time_first_login(address))
    times.reloaded.append(find_reload(scene, address, since) - began)
    new = str(new_pod["metadata"]["name"])
    wait_for(lambda: is_ready(find_edge_pods(scene)[new]), SETTLE_SECONDS, f"{new} is ready")
    return new


def find_reload(scene: Scene, address: str, since: int, change: str = "added") -> float:
    """When (`time.time`) the watcher logged that Dovecot had reloaded after this change."""
    words = rf"trusted proxies {change}: [^;]*\b{re.escape(address)}\b.*Dovecot has reloaded"
    pattern = re.compile(f"mailproxy: .*{words}")

    def find() -> list[float]:
        lines = scene.log_lines(since=since)
        return [line.time for line in lines if pattern.search(line.text)]

    return wait_for(find, SETTLE_SECONDS, lambda: scene.logs(since=since))[0]


def read_reloads(scene: Scene, since: int) -> list[Interval]:
    """Reloads of Dovecot in the log after its first `since` bytes; lines of syslog may be late."""

    def find() -> list[Interval]:
        lines = scene.log_lines(since=since)
        reloads = server_log.find_reloads(lines)
        return reloads if len(reloads) == server_log.count_reloads(lines) else []

    return wait_for(find, LOG_SECONDS, lambda: scene.logs(since=since))


def time_first_login(address: str) -> float:
    """Seconds until a login through the edge pod with this address succeeds."""
    began, patience, pause = time.monotonic(), SHORTEST_PATIENCE, POLL_SECONDS

    def is_accepted() -> bool:
        nonlocal patience, pause
        greeting = read_greeting(address, IMAP.port, patience)
        if greeting == "greeted":
            return not log_in(address, IMAP.port)
        if greeting == "silent":
            patience *= GROWTH
        else:
            time.sleep(pause)
            pause = min(pause * GROWTH, 1.0)
        return False

    wait_for(is_accepted, SETTLE_SECONDS, f"a login through {address}", interval=POLL_SECONDS)
    return time.monotonic() - began


def time_rejection(scene: Scene, pod: str, addresses: Sequence[str], since: int) -> float:
    """Seconds from the end of a pod until its old addresses are rejected, whoever has them then.

    Returns when the watcher has logged it, too.
    """

    def is_gone() -> bool:
        pods = scene.cluster.api.list("Pod", scene.edge, labels=TRAEFIK)
        left = [p for p in pods if p["metadata"]["name"] == pod]
        return all(p["status"]["phase"] in ("Succeeded", "Failed") for p in left)

    wait_for(is_gone, SETTLE_SECONDS, f"the end of {pod}", interval=POLL_SECONDS)
    began = time.monotonic()
    with ThreadPoolExecutor(len(addresses)) as pool:
        ends = list(pool.map(lambda address: find_rejection(scene, address), addresses))
    find_reload(scene, addresses[0], since, "removed")
    return max(ends) - began


def find_rejection(scene: Scene, address: str) -> float:
    """When (`time.monotonic`) Dovecot rejects a valid header from an address with a new owner.

    The new owner is the node, as its packets pass no NetworkPolicy: Dovecot alone decides.
    """
    # Without `nodad` an IPv6 address cannot be used at once.
    whole = [f"{address}/128", "nodad"] if ":" in address else [f"{address}/32"]

    def change(what: str) -> None:
        command = scene.cluster.in_network("ip", "address", what, *whole, "dev", "lo")
        subprocess.run(command, check=True, capture_output=True)

    change("add")
    try:
        return _wait_until_closed(scene, address)
    finally:
        change("delete")


def _wait_until_closed(scene: Scene, source: str) -> float:
    """Connect until the mail server closes without a greeting; returns when that was."""
    service, family = SERVICES[PortName.IMAP], ":" in source
    [server] = [a for a in addresses_of(scene.mail_pod()) if (":" in a) == family]
    client = "2001:db8::7" if family else "198.51.100.7"
    ends = Endpoint(client, 4000), Endpoint(server, service.port)
    patience = [REJECTION_PATIENCE, GROWTH, REJECTION_PAUSE]
    task = [source, server, proxy_port(service, scene), version_2(*ends).hex(), *patience]
    command = scene.cluster.in_network(sys.executable, "-I", "-c", _CONNECT, json.dumps(task))
    answer = subprocess.run(command, capture_output=True, text=True, timeout=SETTLE_SECONDS)
    assert answer.returncode == 0, answer.stderr
    return float(answer.stdout)


_CONNECT = """
import json, socket, sys, time
source, server, port, header, patience, growth, pause = json.loads(sys.argv[1])
while True:
    try:
        with socket.create_connection((server, port), patience, (source, 0)) as connection:
            connection.sendall(bytes.fromhex(header))
            answer = connection.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        answer = b""
    except TimeoutError:
        answer = b"?"
        patience *= growth
    if not answer:
        break
    time.sleep(pause)
print(time.monotonic())
"""


def kill_sandbox(scene: Scene, pod: Manifest) -> None:
    """End the process that holds a pod's network: the kubelet makes a new one, with new addresses.

    Source: the sandbox's image runs `sleep`, and its cgroup has the pod's uid in its name.
    """
    uid = pod["metadata"]["uid"]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_pause = (folder / "cmdline").read_bytes().startswith(b"/bin/sleep\0infinity")
            if is_pause and uid in (folder / "cgroup").read_text():
                subprocess.run(["kill", "-KILL", folder.name], check=True)
                return
        except OSError:
            continue
    raise AssertionError(f"no sandbox of pod {pod['metadata']['name']} in {scene.edge}")


def _summarize(name: str, seconds: Sequence[float]) -> str:
    median, most = statistics.median(seconds), max(seconds)
    return f"{name}: median {median:.2f} s, maximum {most:.2f} s of {len(seconds)}"


def replace_often(
    scene: Scene, count: int, report: Callable[[str], None] = lambda _: None
) -> Times:
    """Replace the newest pod of Traefik `count` times."""
    times = Times()
    name = max(find_edge_pods(scene))
    with ThreadPoolExecutor(count) as pool:
        for number in range(count):
            name = replace_pod(scene, name, times, pool)
            report(f"{number + 1}: {times.accepted[-1]:.2f} s")
        times.rejected += [rejection.result() for rejection in times.rejections]
    return times
