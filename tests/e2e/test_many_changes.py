"""Trust that changes again and again leaves nothing behind in a running mail server.

`CHANGES` says how often it changes.
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
from tests.e2e.client_load import Idler
from tests.e2e.modes import REPLICA_MODES, SEPARATE, Mode, Scenes, chosen_modes
from tests.e2e.replacement import IMAP, addresses_of, find_edge_pods, time_first_login
from tests.e2e.report import Report
from tests.e2e.trust_change import change_labels

CHANGES = int(os.environ.get("CHANGES", "10"))
FIRST_CHANGES = 10  # after these a program has what it needs
COMER = "many-times"
MEMORY_KIB = 500
pytestmark = pytest.mark.timeout(600 + CHANGES * 5)


@dataclass(frozen=True)
class Footprint:
    """What a mail server holds.

    Attributes:
        processes: By name.
        files: Open in the watcher and in Dovecot's master process, by name.
        memory: Theirs, in KiB.
        paths: Of files that the watcher or Dovecot have made.
    """

    processes: Counter[str]
    files: dict[str, int]
    memory: dict[str, int]
    paths: list[str]


@dataclass(frozen=True)
class Churn:
    """Footprints after the first changes and after all, and whether a session outlived them."""

    first: Footprint
    last: Footprint
    idler_lives: bool


@pytest.fixture(scope="module")
def churns(
    request: pytest.FixtureRequest, replica_scenes: Scenes
) -> Iterator[dict[Mode, Future[Churn]]]:
    """All mail servers at once."""
    with ThreadPoolExecutor(len(SEPARATE)) as pool:
        yield {
            mode: pool.submit(lambda mode=mode: play(replica_scenes.get(mode)))
            for mode in chosen_modes(request, "replica_mode")
        }


def play(scene: Scene) -> Churn:
    """Let a pod become one of the edge's and leave it, by its labels alone."""
    survivor = addresses_of(min(find_edge_pods(scene).items())[1])[0]
    time_first_login(survivor)
    scene.apply(build_pod(scene.edge, COMER, ready=False))
    scene.pod_addresses(scene.edge, COMER)
    with Idler(survivor, IMAP.port) as idler:
        change_often(scene, FIRST_CHANGES)
        first = look(scene)
        change_often(scene, CHANGES)
        last = look(scene)
        lives = idler.is_alive()
    scene.cluster.api.delete("Pod", COMER, scene.edge)
    return Churn(first, last, lives)


def change_often(scene: Scene, count: int) -> None:
    """Change what is trusted, and wait each time for the mail server."""
    for number in range(count):
        since = scene.log_size()
        change_labels(scene, COMER, dict.fromkeys(PROXY_LABELS) if number % 2 else PROXY_LABELS)
        read = partial(scene.logs, since=since)
        wait_for(partial(has_reloaded, read), SETTLE_SECONDS, read, interval=0.05)


def has_reloaded(read: Callable[[], str]) -> bool:
    return "Dovecot has reloaded" in read()


def look(scene: Scene) -> Footprint:
    seen = json.loads(scene.run_in_mail_server("python3", "-c", _LOOK))
    return Footprint(Counter(seen.pop("processes")), **seen)


@REPLICA_MODES
def test_no_process_file_or_memory_is_left_behind(
    replica_mode: Mode, churns: dict[Mode, Future[Churn]], report: Report
) -> None:
    churn = churns[replica_mode].result()
    first, last = churn.first, churn.last
    grown = {name: kib - first.memory[name] for name, kib in last.memory.items()}
    report.notes.add(f"{'-'.join(replica_mode)}: {CHANGES} changes of trust: {grown} KiB more")
    assert not last.processes - first.processes, (first, last)
    assert last.files == first.files
    assert last.paths == first.paths
    assert max(grown.values()) < MEMORY_KIB, (first, last)


@REPLICA_MODES
def test_a_session_outlives_all_reloads(
    replica_mode: Mode, churns: dict[Mode, Future[Churn]]
) -> None:
    assert churns[replica_mode].result().idler_lives


_LOOK = """
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
print(json.dumps({"processes": processes, "files": files, "memory": memory, "paths": paths}))
"""
