"""A real Kubernetes of one node on this machine, and the machine's way into it.

The node lives in namespaces of its own (`tests.cluster.node`). The machine is an outside client: a
wire connects both, and what the machine sends to a LoadBalancer address arrives with its own.
"""

import os
import shutil
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Self

from tests.cluster.addresses import DUAL_STACK, Addresses
from tests.cluster.images import ensure_images
from tests.cluster.node import WIRE, cgroup_folders, ip
from tests.cluster.programs import KUBERNETES, TRAEFIK, ensure_programs, find_debian, find_obstacle
from tests.cluster.store import ensure_store, remove_other_stores
from tests.controlplane.api import Api, ApiStatus, wait_for
from tests.controlplane.cache import cache_dir
from tests.controlplane.conditions import is_ready as has_ready_condition
from tests.controlplane.crds import install_crds, traefik_crds
from tests.controlplane.gomod import ToolError
from tests.controlplane.kubectl import run_kubectl
from tests.controlplane.processes import ProcessGroup

ROOT = Path(__file__).resolve().parents[2]
# Not only the process ends with its parent, but all that it started: that is what `init` is for.
BOX = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
INIT = ["/bin/sh", "-c", '"$@" & wait', "init"]  # also collects processes whose parents are gone
START_SECONDS = 120.0
STOP_SECONDS = 10.0


def prepare() -> Path:
    """Build what is missing on this machine, 30 minutes at worst, and return the image store.

    Raises:
        ToolError: No cluster can run here, or something could not be built; with the remedy.
    """
    if obstacle := find_obstacle():
        raise ToolError(obstacle)
    programs = ensure_programs()
    store = ensure_store(ensure_images(TRAEFIK.ensure()["traefik"]), programs)
    remove_other_stores(store)
    return store


class Cluster:
    """Cluster `number` of this machine; a context manager, or left running by `start(detached)`.

    Its IP families are those of `tests.cluster.addresses`.

    Attributes:
        run: Folder of everything it writes, with `logs`.
        kubeconfig: Of a member of `system:masters`; works on this machine alone.
    """

    def __init__(self, number: int, families: tuple[int, ...] = DUAL_STACK) -> None:
        self.addresses = Addresses(number, families)
        self.run = cache_dir() / "clusters" / self.addresses.name
        self.kubeconfig = self.run / "admin.kubeconfig"
        self._group: ProcessGroup | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop(keep_logs=True)

    @cached_property
    def api(self) -> Api:
        """The administrator's client, since the cluster has started; of a run, not of the next."""
        return Api(self.kubeconfig)

    def start(self, *, detached: bool = False) -> Self:
        """Start the node, build what is missing before; returns when pods can be created.

        Args:
            detached: It goes on when this process ends. Otherwise it ends with it, however.

        Raises:
            ToolError: It cannot run on this machine, or something could not be built.
            RuntimeError: It runs already, or does not come up.
        """
        if self.is_running:
            raise RuntimeError(f"cluster {self.addresses.number} runs already")
        store = prepare()
        self.stop()
        (self.run / "logs").mkdir(parents=True)
        try:
            box = self._start_box(store, detached)
            self._connect(box)
            self._await_node(box)
        except BaseException:
            self.stop(keep_logs=True)
            raise
        install_crds(self.api, traefik_crds())
        return self

    def stop(self, *, keep_logs: bool = False) -> None:
        """End it, if it runs, and remove every trace, but for `logs` if they are to be kept."""
        if self.is_running:
            kill_box(self._pid)
        if self._group:
            self._group.kill()
            self._group = None
        self.__dict__.pop("api", None)
        remove_wire(self._wire)
        remove_cgroup(self.addresses.name)
        for path in self.run.iterdir() if self.run.exists() else []:
            if path.is_dir() and not (keep_logs and path.name == "logs"):
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
        if self.run.exists() and not keep_logs:
            self.run.rmdir()

    @property
    def is_running(self) -> bool:
        """Whether its first process lives; known to other processes too."""
        try:
            command = Path(f"/proc/{self._pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return False
        return BOX[0].encode() in command and str(self.run).encode() in command

    def run_kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        check: bool = True,
        timeout: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator.

        Raises:
            subprocess.CalledProcessError: It failed, and `check` is set; with its message.
        """
        kubectl = KUBERNETES.folder / "kubectl"
        return run_kubectl(
            kubectl, self.kubeconfig, *arguments, input=input, check=check, timeout=timeout
        )

    def describe_pods(self, namespace: str) -> str:
        """What a person would look at when pods do not become ready."""
        return self.run_kubectl("describe", "pods", f"--namespace={namespace}").stdout[-3000:]

    def in_network(self, *command: str) -> list[str]:
        """A command line that runs a command of this machine in the node's network."""
        return ["nsenter", f"--net=/proc/{self._pid}/ns/net", "--", *command]

    @property
    def _wire(self) -> str:
        """The machine's end of it."""
        return f"mailproxy{self.addresses.number}"

    @property
    def _pid(self) -> int:
        return int((self.run / "pid").read_text())

    def _start_box(self, store: Path, detached: bool) -> subprocess.Popen[bytes]:
        node = [sys.executable, "-m", "tests.cluster.node"]
        families = map(str, self.addresses.families)
        arguments = [str(self.run), str(store), str(self.addresses.number), *families]
        self._group = None if detached else ProcessGroup()
        with (self.run / "logs" / "node.log").open("wb") as log:
            box = subprocess.Popen(
                [*BOX, *INIT, *node, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=detached,
                process_group=self._group.id if self._group else None,
            )
        (self.run / "pid").write_text(str(box.pid))
        return box

    def _connect(self, box: subprocess.Popen[bytes]) -> None:
        """Lay the wire, and route what is in the cluster through the node."""
        own, theirs = Path("/proc/self/ns/net"), Path(f"/proc/{box.pid}/ns/net")
        wait_for(lambda: own.readlink() != theirs.readlink(), 10, "the node's network namespace")
        name = self._wire
        ip("link", "add", name, "type", "veth", "peer", "name", WIRE, "netns", str(box.pid))
        for address, prefix in zip(self.addresses.host, self.addresses.node_prefixes, strict=True):
            ip(*("address", "add", f"{address}/{prefix}"), "dev", name, _no_detection(address))
        ip("link", "set", name, "up")
        for networks in (
            self.addresses.pods,
            self.addresses.services,
            self.addresses.load_balancers,
        ):
            for network, node in zip(networks, self.addresses.node, strict=True):
                ip("route", "replace", network, "via", node)

    def _await_node(self, box: subprocess.Popen[bytes]) -> None:
        def is_ready() -> bool:
            if box.poll() is not None:
                return True
            account = self.api.get("ServiceAccount", "default", "default")
            return has_ready_condition(self.api.get("Node", self.addresses.name)) and bool(account)

        try:
            wait_for(is_ready, START_SECONDS, "the node is Ready", interval=0.1)
        except (AssertionError, ApiStatus) as error:
            raise RuntimeError(f"{error}; logs: {self.run / 'logs'}") from error
        if box.poll() is not None:
            log = (self.run / "logs" / "node.log").read_text()
            raise RuntimeError(f"the node ended; logs: {self.run / 'logs'}\n{log[-2000:]}")


def kill_box(pid: int) -> None:
    """Kill `unshare` and return when the kernel has ended all that ran in its namespaces."""
    inits = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, inits)), STOP_SECONDS, "the end of the node")


def is_alive(pid: str) -> bool:
    """Whether a process runs; one that waits to be collected by its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def remove_wire(name: str) -> None:
    """Remove a network interface; the kernel does so too when the node is gone, in its own time."""
    link = Path("/sys/class/net", name)
    if link.exists():
        subprocess.run([find_debian("ip"), "link", "delete", name], capture_output=True)
        wait_for(lambda: not link.exists(), STOP_SECONDS, f"the end of the interface {name}")


def remove_cgroup(name: str) -> None:
    """Remove a cgroup and all below; a killed process needs a moment to leave its own."""

    def find_left() -> list[Path]:
        return [folder for folder in cgroup_folders(name) if not _remove_folders(folder)]

    wait_for(lambda: not find_left(), STOP_SECONDS, find_left, interval=0.1)


def _remove_folders(top: Path) -> bool:
    """Whether a folder of the cgroup file system is gone; its files go by themselves."""
    folders = [Path(path) for path, _, _ in os.walk(top, topdown=False)]
    try:
        for folder in folders:
            folder.rmdir()
    except OSError:
        return False
    return True


def _no_detection(address: str) -> str:
    """An IPv6 address of a fresh wire is usable at once when nobody is asked for duplicates."""
    return "nodad" if ":" in address else ""
