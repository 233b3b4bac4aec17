"""A real Kubernetes control plane inside a test: etcd, kube-apiserver, kube-controller-manager.

It needs no root and no container. There is no kubelet and no scheduler: a pod is an object whose
status the test writes (`tests.controlplane.edge`).
"""

import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.controlplane.api import Api, ApiStatus, Manifest
from tests.controlplane.binaries import Binaries
from tests.controlplane.crds import install_crds
from tests.controlplane.kubeconfig import write_kubeconfig
from tests.controlplane.kubectl import run_kubectl
from tests.controlplane.ports import PortTakenError, choose_ports
from tests.controlplane.processes import ProcessGroup, Server, stop_servers

READY_SECONDS = 60.0  # 3 to 5 s are usual; a machine with two busy cores needs its time
GRACE_SECONDS = 1.0  # an API server with watches would take 60 s, and nothing here is to be saved
POLL_SECONDS = 0.02
ATTEMPTS = 3
LOOPBACK = "127.0.0.1"
ADMIN = "admin"


class ControlPlane:
    """One control plane, running between `start` and `stop`, or inside a `with` block.

    Attributes:
        directory: Everything it writes is below; it stays when the control plane is stopped.
        logs: Folder with `etcd.log`, `kube-apiserver.log`, `kube-controller-manager.log`.
        kubeconfig: Of a member of `system:masters`. JSON, which is YAML too.
        url: `https://<address>:<port>`; the port stays the same over restarts.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binaries: Binaries | None = None,
        emulated_version: str | None = None,
        controller_manager: bool = True,
        extra_apiserver_args: Sequence[str] = (),
        extra_controller_manager_args: Sequence[str] = (),
        crds: Sequence[Manifest] = (),
        address: str = LOOPBACK,
        users: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            binaries: The programs; found or built when missing here.
            emulated_version: Behave like an older Kubernetes, e.g. `1.34`; the API server takes
                its own release and the three before it.
            controller_manager: Without it there are no EndpointSlices, no ServiceAccounts in new
                namespaces, no garbage collection.
            extra_apiserver_args: Such as `--min-request-timeout=20`.
            extra_controller_manager_args: Such as `--allocate-node-cidrs`.
            crds: Installed before the controller manager starts. Its garbage collector looks for
                new kinds but twice a minute: owners of a later kind may go without their children.
            address: Under which clients reach the API server. With another than loopback it listens
                on every address, and pods find it as the Service `kubernetes`.
            users: Users beside the administrator, each with a group: see `user_kubeconfig`.
        """
        self.directory = directory.resolve()
        self.logs = self.directory / "logs"
        self.kubeconfig = self.directory / "admin.kubeconfig"
        self._binaries = binaries
        self._emulated_version = emulated_version
        self._with_controller_manager = controller_manager
        self._extra_apiserver_args = tuple(extra_apiserver_args)
        self._extra_controller_manager_args = tuple(extra_controller_manager_args)
        self._crds = tuple(crds)
        self._address = address
        self._groups = {ADMIN: "system:masters"} | dict(users or {})
        self._tokens = {user: secrets.token_hex(16) for user in self._groups}
        self._group: ProcessGroup | None = None
        self._servers: dict[str, Server] = {}
        self._etcd_port = self._port = 0

    @property
    def url(self) -> str:
        """Where the API server listens."""
        host = f"[{self._address}]" if ":" in self._address else self._address
        return f"https://{host}:{self._port}"

    @property
    def pids(self) -> list[int]:
        """Process ids of the servers and of the shell that ends them with us."""
        own = [self._group.id] if self._group else []
        return own + [server.pid for server in self._servers.values()]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start everything and return when the API server is ready.

        Raises:
            RuntimeError: A server ended or was not ready in time; with the end of its log.
        """
        self._binaries = self._binaries or Binaries.ensure()
        self._write_credentials()
        for attempt in range(1, ATTEMPTS + 1):
            self._etcd_port, self._port = choose_ports(2)
            self._group = ProcessGroup()
            try:
                self._start_all()
            except PortTakenError:
                self.stop()
                if attempt == ATTEMPTS:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                break
        return self

    def stop(self) -> None:
        """End all servers, within a second or so; nothing happens when none runs."""
        stop_servers(self._servers.values(), GRACE_SECONDS)
        self._servers.clear()
        if self._group:
            self._group.kill()
            self._group = None

    def start_apiserver(self) -> None:
        """Start it (again), on the same port and data, and return when it is ready."""
        server = self._launch_apiserver()
        # On its first start it makes a certificate, and after that the key.
        self._await(server, (self._pki / "apiserver.key").exists)
        self._write_kubeconfig(self.kubeconfig, self._tokens[ADMIN])
        self._await(server, self._is_ready)

    def stop_apiserver(self, kill: bool = False, grace_seconds: float = GRACE_SECONDS) -> None:
        """End the API server alone and return when its process is gone.

        Args:
            kill: By SIGKILL, like a crash: open watches break off. Otherwise by SIGTERM: it accepts
                no new connection, but open watches live on until `grace_seconds` are over.
        """
        server = self._servers.pop("kube-apiserver")
        stop_servers([server], 0 if kill else grace_seconds)

    def restart_apiserver(self, kill: bool = False) -> None:
        """Stop and start the API server; its address and data stay, open watches do not.

        The controller manager starts anew: after some restarts its watches would come back only
        half a minute later.
        """
        manager = self._servers.pop("kube-controller-manager", None)
        stop_servers([manager] if manager else [], 0)
        self.stop_apiserver(kill)
        self.start_apiserver()
        if manager:
            self.start_controller_manager()

    def start_controller_manager(self) -> None:
        """Start it, for those who wanted none at first; it is not waited for."""
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self._pki}/service-account.key",
            "--leader-elect=false",
            "--secure-port=0",
            # No kubelet renews a node's lease: without these, pods lose Ready after a minute.
            "--node-monitor-grace-period=24h",
            "--node-startup-grace-period=24h",
            *self._emulation(),
            *self._extra_controller_manager_args,
        )

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Write a kubeconfig with a new token, valid for a day, of an existing ServiceAccount."""
        answer = Api(self.kubeconfig).request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {"spec": {"expirationSeconds": 86400}},
        )
        path = self.directory / "kubeconfigs" / f"{namespace}.{name}.kubeconfig"
        return self._write_kubeconfig(path, answer["status"]["token"], namespace)

    def user_kubeconfig(self, user: str) -> Path:
        """Write a kubeconfig of one of `users`."""
        path = self.directory / "kubeconfigs" / f"{user.replace(':', '.')}.kubeconfig"
        return self._write_kubeconfig(path, self._tokens[user])

    def _write_kubeconfig(self, path: Path, token: str, namespace: str = "default") -> Path:
        # The API server's own certificate and its authority's, both made by itself at first start.
        certificate = self.certificate.read_bytes()
        return write_kubeconfig(
            path, url=self.url, certificate=certificate, token=token, namespace=namespace
        )

    def run_kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, untouched by the user's own kubectl settings.

        Raises:
            subprocess.CalledProcessError: It failed, and `check` is set.
        """
        program = self._program("kubectl")
        return run_kubectl(program, self.kubeconfig, *arguments, input=input, check=check)

    def _start_all(self) -> None:
        self._start_etcd()
        self.start_apiserver()
        install_crds(Api(self.kubeconfig), self._crds)
        if self._with_controller_manager:  # it gives up when the API server is not ready in 10 s
            self.start_controller_manager()

    def _start_etcd(self) -> None:
        url = f"http://127.0.0.1:{self._etcd_port}"
        self._run(
            "etcd",
            f"--data-dir={self.directory}/etcd",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            "--listen-peer-urls=http://127.0.0.1:0",  # it has no peers
            "--log-level=warn",
            "--unsafe-no-fsync",
        )

    def _launch_apiserver(self) -> Server:
        return self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            *self._exposure(),
            f"--secure-port={self._port}",
            f"--cert-dir={self._pki}",
            "--authorization-mode=Node,RBAC",
            f"--token-auth-file={self._pki}/tokens.csv",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._pki}/service-account.key",
            f"--service-account-signing-key-file={self._pki}/service-account.key",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
            *self._emulation(),
            *self._extra_apiserver_args,
        )

    def _exposure(self) -> list[str]:
        listen = LOOPBACK if self._address == LOOPBACK else "0.0.0.0"
        # Without an address of its own it wants an interface that is not loopback.
        flags = [f"--bind-address={listen}", f"--advertise-address={self._address}"]
        if self._address == LOOPBACK:  # which may not stand in Endpoints
            flags.append("--endpoint-reconciler-type=none")
        return flags

    def _emulation(self) -> list[str]:
        version = self._emulated_version
        return [f"--emulated-version={version}"] if version else []

    def _run(self, name: str, *arguments: str) -> Server:
        assert self._group, "the control plane is not started"
        server = Server([self._program(name), *arguments], self.logs / f"{name}.log", self._group)
        self._servers[name] = server
        return server

    def _program(self, name: str) -> Path:
        self._binaries = self._binaries or Binaries.ensure()
        return self._binaries.path(name)

    def _is_ready(self) -> bool:
        try:
            return bool(Api(self.kubeconfig, timeout=5).request("GET", "/readyz") == "ok")
        except (ApiStatus, OSError):
            return False

    def _await(self, server: Server, condition: Callable[[], bool]) -> None:
        """Wait for a condition that `server` brings about, as long as all servers live."""
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            for other in self._servers.values():
                if other.has_ended():
                    raise _failure(other, "ended")
            if time.monotonic() > deadline:
                raise _failure(server, f"was not ready within {READY_SECONDS:g} s")
            time.sleep(POLL_SECONDS)

    @property
    def certificate(self) -> Path:
        """PEM of what the API server's certificate is signed by, once it has started."""
        return self._pki / "apiserver.crt"

    @property
    def _pki(self) -> Path:
        return self.directory / "pki"

    def _write_credentials(self) -> None:
        """Everybody's token, and the key that signs the tokens of ServiceAccounts."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._pki.mkdir(mode=0o700, exist_ok=True)
        lines = [f'{self._tokens[u]},{u},{u},"{group}"\n' for u, group in self._groups.items()]
        (self._pki / "tokens.csv").write_text("".join(lines))
        key = self._pki / "service-account.key"
        if not key.exists():
            command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"]
            subprocess.run([*command, "-out", key], check=True)


def _failure(server: Server, what: str) -> RuntimeError:
    output = server.output()
    kind = PortTakenError if "address already in use" in output else RuntimeError
    return kind(f"{server.name} {what}. The end of {server.log}:\n{output}")
