"""The node from the inside: starts all of its servers, and stays.

`tests.cluster.cluster` runs it in network, mount, process and host name namespaces of its own. When
its process ends, the kernel ends every server and container of the node, and with them go mounts,
addresses, routes and rules. Only the cgroup is left, which `cluster` removes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template

from tests.cluster.addresses import Addresses
from tests.cluster.images import PAUSE_IMAGE
from tests.cluster.programs import ensure_programs, find_debian
from tests.cluster.store import in_use, mount_store
from tests.controlplane.api import wait_for
from tests.controlplane.binaries import Binaries
from tests.controlplane.processes import ProcessGroup, Server
from tests.controlplane.server import ControlPlane

CONFIG = Path(__file__).with_name("config")
CGROUPS = Path("/sys/fs/cgroup")
WIRE = "wire"  # the node's end of it
WATCH_SECONDS = 1.0
# The kubelet sets these and refuses to start otherwise; they are the machine's, so it gets copies.
GLOBAL_SETTINGS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")


class Node:
    """All that makes a machine a node; `start` it inside its namespaces.

    Attributes:
        run: Folder for everything that this run writes; logs are in `logs`.
    """

    def __init__(self, addresses: Addresses, run: Path, store: Path) -> None:
        self.addresses = addresses
        self.run = run
        self._store = store
        self._programs = ensure_programs()
        self._group = ProcessGroup()
        self._servers: list[Server] = []
        self._config = run / "config"
        self._control_plane = self._build_control_plane()

    def start(self) -> None:
        """Start everything; the node becomes Ready a moment later."""
        isolate(self.run)
        connect(self.addresses)
        create_cgroup(self.addresses.name)
        mount_store(self._store, self.run / "containerd")
        (self.run / "logs").mkdir(exist_ok=True)
        self._start_containerd()  # beside the API server, as it needs none
        self._control_plane.start()
        self._start_others()

    def watch(self) -> None:
        """Return when a server has ended, which it should not."""
        while not any(server.has_ended() for server in self._servers):
            time.sleep(WATCH_SECONDS)

    def _build_control_plane(self) -> ControlPlane:
        directory, node = self.run, self.addresses.node[0]
        pods, services = ",".join(self.addresses.pods), ",".join(self.addresses.services)
        return ControlPlane(
            directory,
            binaries=Binaries(self._programs),
            address=node,
            users={self._user: "system:nodes", "system:kube-proxy": "system:kube-proxies"},
            extra_apiserver_args=[
                f"--service-cluster-ip-range={services}",
                "--allow-privileged=true",
                "--kubelet-preferred-address-types=InternalIP",
            ],
            extra_controller_manager_args=[
                f"--service-cluster-ip-range={services}",
                f"--cluster-cidr={pods}",
                "--allocate-node-cidrs=true",
                f"--root-ca-file={directory}/pki/apiserver.crt",
                "--kube-api-qps=200",  # else a namespace waits seconds for its ServiceAccount
                "--kube-api-burst=400",
            ],
        )

    @property
    def _user(self) -> str:
        return f"system:node:{self.addresses.name}"

    def _start_containerd(self) -> None:
        self._write_config(
            "cni/10-pods.conflist",
            ranges=json.dumps([[{"subnet": network}] for network in self.addresses.pods]),
            routes=json.dumps([{"dst": network} for network in self.addresses.everywhere]),
        )
        self._write_config(
            "containerd.toml",
            containerd=self.run / "containerd",
            pause_image=PAUSE_IMAGE,
            cni_plugins=self._programs["ptp"].parent,
            runc=find_debian("runc"),
        )
        self._start("containerd", f"--config={self._config}/containerd.toml")

    def _start_others(self) -> None:
        name, kubeconfig = self.addresses.name, self._control_plane.kubeconfig
        proxy = self._control_plane.user_kubeconfig("system:kube-proxy")
        self._write_config("kubelet.yaml")
        self._write_config("kube-proxy.yaml", kubeconfig=proxy)
        self._write_config("Corefile", kubeconfig=kubeconfig)
        (self._config / "resolv.conf").write_text("")
        self._start(
            "kubelet",
            f"--config={self._config}/kubelet.yaml",
            f"--kubeconfig={self._control_plane.user_kubeconfig(self._user)}",
            f"--hostname-override={name}",
            f"--node-ip={','.join(self.addresses.node)}",
            f"--root-dir={self.run}/kubelet",
            f"--cert-dir={self.run}/kubelet-pki",
        )
        self._start(
            "kube-scheduler",
            *(f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"),
        )
        self._start(
            "kube-proxy", f"--config={self._config}/kube-proxy.yaml", f"--hostname-override={name}"
        )
        self._start("coredns", "-conf", f"{self._config}/Corefile")
        policies = [sys.executable, "-m", "tests.cluster.network_policy"]
        self._run("network-policy", *policies, f"--kubeconfig={kubeconfig}")

    def _start(self, name: str, *arguments: str) -> None:
        self._run(name, str(self._programs[name]), *arguments)

    def _run(self, name: str, *command: str) -> None:
        self._servers.append(Server(command, self.run / "logs" / f"{name}.log", self._group))

    def _write_config(self, name: str, **values: object) -> None:
        """Fill in one file of `tests/cluster/config`."""
        common = {
            "name": self.addresses.name,
            "node": self.addresses.node[0],
            "pods": ",".join(self.addresses.pods),
            "run": self.run,
            "config": self._config,
        }
        target = self._config / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template((CONFIG / name).read_text()).substitute(common, **values))


def isolate(run: Path) -> None:
    """Keep what the servers do to files from the machine's."""
    mount("--make-rshared", "/")  # volumes of pods propagate
    for folder in ("/run", "/var/log/containers"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    for folder in ("/run/lock", "/run/netns", "/run/containerd"):
        Path(folder).mkdir()
    for setting in GLOBAL_SETTINGS:
        copy = run / setting.replace("/", ".")
        copy.write_text(Path("/proc/sys", setting).read_text())
        mount("--bind", str(copy), f"/proc/sys/{setting}")


def connect(addresses: Addresses) -> None:
    """Wait for the wire to the machine, and set up this end of it."""
    ip("link", "set", "lo", "up")
    wait_for(lambda: Path("/proc/net/dev").read_text().count(f"{WIRE}:"), 20, "the wire")
    for address, prefix in zip(addresses.node, addresses.node_prefixes, strict=True):
        ip("address", "add", f"{address}/{prefix}", "dev", WIRE, "nodad" if ":" in address else "")
    ip("link", "set", WIRE, "up")
    for host in addresses.host:
        ip("-6" if ":" in host else "-4", "route", "add", "default", "via", host)
    for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", setting).write_text("1")
    # Else a new pod has no IPv6 for two seconds: its gateway waits for others with its address.
    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")


def cgroup_folders(name: str) -> Iterator[Path]:
    """Where a cgroup of that name is: one folder in version 2, one per controller in version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        yield CGROUPS / name
        return
    for controller in CGROUPS.iterdir():
        if not controller.is_symlink() and (controller / "cgroup.procs").exists():
            yield controller / name


def create_cgroup(name: str) -> None:
    """The one that holds all others of the node."""
    for folder in cgroup_folders(name):
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # version 1 starts with none
            if (folder.parent / setting).exists() and folder.parent.name == "cpuset":
                (folder / setting).write_text((folder.parent / setting).read_text())


def mount(*arguments: str) -> None:
    """Run mount(8)."""
    subprocess.run(["mount", *arguments], check=True)


def ip(*arguments: str) -> None:
    """Run ip(8); empty arguments are left out."""
    subprocess.run([find_debian("ip"), *filter(None, arguments)], check=True)


def main() -> None:
    """Arguments: the folder of this run, the image store, the cluster's number and IP families."""
    run, store, number, *families = sys.argv[1:]
    with in_use(Path(store)):
        addresses = Addresses(int(number), tuple(map(int, families)))
        node = Node(addresses, Path(run), Path(store))
        node.start()
        node.watch()


if __name__ == "__main__":
    main()
