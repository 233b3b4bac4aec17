"""The programs of a node: built from the pinned modules of `tests/tools`, or Debian's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.controlplane.binaries import PACKAGES, pinned_kubernetes
from tests.controlplane.build import Programs
from tests.controlplane.gomod import TOOLS, GoModule, ToolError

KUBERNETES = pinned_kubernetes(
    PACKAGES
    | {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kubelet", "kube-proxy", "kube-scheduler")
    }
)
_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins/plugins"
CONTAINERD = Programs(
    GoModule(TOOLS / "containerd"),
    _CONTAINERD,
    {
        "containerd": f"{_CONTAINERD}/cmd/containerd",
        "containerd-shim-runc-v2": f"{_CONTAINERD}/cmd/containerd-shim-runc-v2",
        "ctr": f"{_CONTAINERD}/cmd/ctr",
        "ptp": f"{_CNI}/main/ptp",
        "loopback": f"{_CNI}/main/loopback",
        "host-local": f"{_CNI}/ipam/host-local",
        "portmap": f"{_CNI}/meta/portmap",
    },
    cost="some 90 seconds",
    tags="no_btrfs,no_zfs,no_devmapper",
)
COREDNS = Programs(
    GoModule(TOOLS / "coredns"),
    "github.com/coredns/coredns",
    {"coredns": "github.com/coredns/coredns"},
    cost="some 2 minutes",
)
TRAEFIK = Programs(
    GoModule(TOOLS / "traefik"),
    "github.com/traefik/traefik/v3",
    {"traefik": "github.com/traefik/traefik/v3/cmd/traefik"},
    cost="some 6 minutes",
)

# Debian packages by a program of theirs; README names the same.
DEBIAN = {
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
    "mmdebstrap": "mmdebstrap",
    "buildah": "buildah",
    "swaks": "swaks",
}
# swaks speaks IPv6 and TLS only with these modules, which Debian merely recommends.
PERL = {"IO::Socket::INET6": "libio-socket-inet6-perl", "Net::SSLeay": "libnet-ssleay-perl"}
SYSTEM_PATH = "/usr/sbin:/sbin"


def ensure_programs() -> dict[str, Path]:
    """Paths of a node's programs by name; what is missing is built, up to 15 minutes.

    Raises:
        ToolError: A build failed; the message names the remedy.
    """
    found: dict[str, Path] = {}
    for programs in (KUBERNETES, CONTAINERD, COREDNS):
        found |= programs.ensure()
    return found


def find_debian(name: str) -> Path:
    """Path of a program that Debian brings.

    Raises:
        ToolError: It is not there; the message names the package.
    """
    path = shutil.which(name, path=f"{os.environ['PATH']}:{SYSTEM_PATH}")
    if path is None:
        raise ToolError(f"{name} is missing. Remedy: apt-get install {DEBIAN[name]}")
    return Path(path)


def find_obstacle() -> str:
    """Why no cluster can run on this machine, and the remedy; empty when one can."""
    if sys.platform != "linux":
        return f"a cluster needs Linux; this is {sys.platform}"
    if os.geteuid() != 0:
        return "a cluster needs root, for network namespaces and containers: use sudo"
    path = f"{os.environ['PATH']}:{SYSTEM_PATH}"
    missing = [package for name, package in DEBIAN.items() if not shutil.which(name, path=path)]
    missing += [package for module, package in PERL.items() if not _has_perl_module(module)]
    return f"missing programs: apt-get install {' '.join(missing)}" if missing else ""


def _has_perl_module(name: str) -> bool:
    try:
        return subprocess.run(["perl", f"-M{name}", "-e1"], capture_output=True).returncode == 0
    except OSError:
        return False
