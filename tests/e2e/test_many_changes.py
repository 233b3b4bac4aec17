"""Repeated changes of trust leave no process, file or memory behind in a running mail server.

`CHANGES` is their number.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from tests.cluster.scene import SETTLE_SECONDS, Scene
from tests.cluster.workloads import PROXY_LABELS, build_pod
from tests.controlplane.api import wait_for
from tests.e2e.client_load import IdleSession
from tests.e2e.modes import REPLICA_MODES, SEPARATE, Mode, Scenes, chosen_modes
from tests.e2e.replacement import IMAP, addresses_of, find_edge_pods, log_in, time_first_login
from tests.e2e.report import Report
from tests.e2e.trust_change import change_labels

CHANGES = int(os.environ.get("CHANGES", "10"))
FIRST_CHANGES = 10  # to warm up
JOINING_POD = "joining-pod"
MEMORY_KIB = 500
REST_SECONDS = 2.0
pytestmark = pytest.mark.timeout(600 + CHANGES * 5)


@dataclass(frozen=True)
class Footprint:
    """Resources of a mail server.

    Attributes:
        processes: By name.
        files: Open in the watcher and in Dovecot's master process, by name.
        memory: Theirs, in KiB.
        paths: Of files that the watcher or Dovecot have created.
    """

    processes: Counter[str]
    files: dict[str, int]
    memory: dict[str, int]
    paths: list[str]


@dataclass(frozen=True)
class Result:
    """Footprints after the first changes and after all; whether a session survived them."""

    first: Footprint
    last: Footprint
    session_is_alive: bool


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, replica_scenes: Scenes
) -> Iterator[dict[Mode, Future[Result]]]:
    """For each mail server, concurrently."""
    with ThreadPoolExecutor(len(SEPARATE)) as pool:
        yield {
            mode: pool.submit(lambda mode=mode: run_changes(replica_scenes.get(mode)))
            for mode in chosen_modes(request, "replica_mode")
        }


def run_changes(scene: Scene) -> Result:
    """Let a pod join the edge and leave it again and again, by its labels."""
    survivor = addresses_of(min(find_edge_pods(scene).items())[1])[0]
    time_first_login(survivor)
    scene.apply(build_pod(scene.edge, JOINING_POD, ready=False))
    scene.pod_addresses(scene.edge, JOINING_POD)
    with IdleSession(survivor, IMAP.port) as session:
        change_often(scene, FIRST_CHANGES)
        first = measure_at_rest(scene, survivor)
        change_often(scene, CHANGES)
        last = measure_at_rest(scene, survivor)
        is_alive = session.is_alive()
    scene.cluster.api.delete("Pod", JOINING_POD, scene.edge)
    return Result(first, last, is_alive)


def change_often(scene: Scene, count: int) -> None:
    """Change what is trusted, and wait each time for the mail server."""
    for number in range(count):
        since = scene.log_size()
        change_labels(
            scene, JOINING_POD, dict.fromkeys(PROXY_LABELS) if number % 2 else PROXY_LABELS
        )
        read = partial(scene.logs, since=since)
        wait_for(partial(has_reloaded, read), SETTLE_SECONDS, read, interval=0.05)


def has_reloaded(read: Callable[[], str]) -> bool:
    return "Dovecot has reloaded" in read()


def measure_at_rest(scene: Scene, survivor: str) -> Footprint:
    """The resources after a login, as soon as no process is coming or going."""
    assert not log_in(survivor, IMAP.port)
    before = measure(scene)

    def find_rest() -> Footprint | None:
        nonlocal before
        last, before = before, measure(scene)
        return before if (last.processes, last.paths) == (before.processes, before.paths) else None

    found = wait_for(find_rest, SETTLE_SECONDS, lambda: before, interval=REST_SECONDS)
    assert found
    return found


def measure(scene: Scene) -> Footprint:
    measured = json.loads(scene.run_in_mail_server("python3", "-c", _MEASURE))
    return Footprint(Counter(measured.pop("processes")), **measured)


@REPLICA_MODES
def test_no_process_file_or_memory_is_left_behind(
    replica_mode: Mode, results: dict[Mode, Future[Result]], report: Report
) -> None:
    result = results[replica_mode].result()
    first, last = result.first, result.last
    grown = {name: kib - first.memory[name] for name, kib in last.memory.items()}
    report.notes.add(f"{'-'.join(replica_mode)}: {CHANGES} changes of trust: {grown} KiB more")
    assert not last.processes - first.processes, (first, last)
    assert last.files == first.files
    assert last.paths == first.paths
    assert max(grown.values()) < MEMORY_KIB, (first, last)


@REPLICA_MODES
def test_session_survives_all_reloads(
    replica_mode: Mode, results: dict[Mode, Future[Result]]
) -> None:
    assert results[replica_mode].result().session_is_alive


_MEASURE = """
import collections, json, os, pathlib, subprocess
processes, files, memory = collections.Counter(), {}, {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        processes[pathlib.Path("/proc", pid, "comm").read_text().strip()] += 1
    except OSError:
        pass
for name in ("dovecot", "mailproxy-watcher"):
    pid = subprocess.run(["supervisorctl", "pid", name], capture_output=True, text=True).stdout
    folder = pathlib.Path("/proc", pid.strip())
    files[name] = len(os.listdir(folder / "fd"))
    lines = (folder / "status").read_text().splitlines()
    memory[name] = int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
folders = ["/etc/mailproxy", "/run/dovecot", "/tmp"]
paths = [str(path) for folder in folders for path in sorted(pathlib.Path(folder).rglob("*"))]
paths = [path for path in paths if "/.." not in path]  # versions of a mounted ConfigMap
paths = [path for path in paths if not path.rpartition("/")[2].isdigit()]  # of login processes
print(json.dumps({"processes": processes, "files": files, "memory": memory, "paths": paths}))
"""
