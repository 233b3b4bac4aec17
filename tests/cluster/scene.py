"""What a user has: an edge, a mail server, and a MailProxy that joins them."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from tests.cluster import container_log
from tests.cluster.cluster import Cluster
from tests.cluster.images import MAIL_BOOKWORM_IMAGE, MAIL_TRIXIE_IMAGE
from tests.cluster.workloads import (
    NAME,
    PROXY_LABELS,
    build_mail_server,
    build_pod,
    build_traefik,
)
from tests.controlplane.api import ApiStatus, Manifest, Manifests, wait_for
from tests.controlplane.conditions import find_condition, is_ready
from tests.controlplane.edge import ALL_SERVICES, MAIL_LABELS, create_namespace

T = TypeVar("T")

SETTLE_SECONDS = 120.0
IMAGES = {"2.3": MAIL_BOOKWORM_IMAGE, "2.4": MAIL_TRIXIE_IMAGE}  # by version of Dovecot
INSIDER = "insider"
# docker-mailserver does not start where this interface, eth0 by default, has no IPv4 address.
NO_IPV4_ENV = {"NETWORK_INTERFACE": "lo"}


@dataclass
class Scene:
    """Two namespaces, `mail-<name>` and `edge-<name>`, and how to play in them.

    Attributes:
        index: Of the LoadBalancer address, 1 to 254; unique within the cluster.
        listeners: `Separate` or `Shared`.
        dovecot: `2.3` (Debian 12) or `2.4` (Debian 13).
        env: docker-mailserver's settings; Fail2ban takes its time to start.
        capabilities: What the mail server may do beyond what any container may.
        edge_of: Name of another scene, if this mail server stands behind the edge of that one.
    """

    cluster: Cluster
    name: str
    index: int
    dovecot: str = "2.3"
    listeners: str = "Separate"
    hostname: str = "mail.example.com"
    env: Mapping[str, str] = field(default_factory=lambda: {"ENABLE_FAIL2BAN": "0"})
    capabilities: Sequence[str] = ()
    edge_of: str = ""

    @property
    def mail(self) -> str:
        """Namespace of the mail server and of the MailProxy."""
        return f"mail-{self.name}"

    @property
    def edge(self) -> str:
        """Namespace of the edge."""
        return f"edge-{self.edge_of or self.name}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where outside clients find the mail server: the edge's LoadBalancer, by IP family."""
        return self.cluster.addresses.load_balancer(self.index)

    def create(
        self,
        traefik_args: Sequence[str] = (),
        *,
        traefik: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> None:
        """Everything with Traefik as the edge; returns when the MailProxy is Ready.

        Args:
            traefik_args, traefik: As `build_traefik` takes them, the latter by name.
            spec: As `apply_mail_proxy` takes it.
        """
        self.create_edge(traefik_args, **(traefik or {}))
        self.create_mail_server(**spec)
        self.wait_for_banners(self.addresses[0])

    def create_edge(
        self, traefik_args: Sequence[str] = (), watched: Sequence[str] = (), **options: Any
    ) -> None:
        """Traefik, published; the arguments are those of `build_traefik`.

        A second pod of the edge, the insider, is trusted like Traefik and never gets any traffic.
        """
        self.create_namespaces()
        self.apply_all(build_traefik(self.edge, watched or [self.mail], traefik_args, **options))
        self.apply(build_pod(self.edge, INSIDER, PROXY_LABELS, ready=False))
        self.publish()
        self.wait_for_addresses(self.edge, labels=_selector(PROXY_LABELS), count=2)

    def create_mail_server(self, **spec: Any) -> None:
        """The MailProxy, and the mail server behind the edge; returns when the former is Ready."""
        self.create_namespaces()
        self.apply_mail_proxy(**spec)
        self.add_mail_server()
        self.wait_for_condition("Ready", "True")

    def create_namespaces(self) -> None:
        """Both, with their ServiceAccounts."""
        for namespace in (self.mail, self.edge):
            create_namespace(self.cluster.api, namespace)

    def delete(self) -> None:
        """Ask for the end of all that is its own, without waiting for it."""
        self.cluster.api.delete("Namespace", self.mail)
        if self.edge_of:
            return
        self.cluster.api.delete("Namespace", self.edge)
        for kind in ("ClusterRole", "ClusterRoleBinding"):
            try:
                self.cluster.api.delete(kind, f"traefik-{self.edge}")
            except ApiStatus as error:
                if error.code != 404:
                    raise

    def apply(self, manifest: Manifest) -> Manifest:
        """As `kubectl apply --server-side` does."""
        return self.cluster.api.apply(manifest, field_manager="user")

    def apply_all(self, manifests: Manifests) -> None:
        """One after the other."""
        for manifest in manifests:
            self.apply(manifest)

    def publish(
        self, service: str = "traefik", namespace: str = "", index: int = 0
    ) -> tuple[str, ...]:
        """Give a LoadBalancer Service its addresses, as a cloud would, and return them."""
        addresses = self.cluster.addresses.load_balancer(index or self.index)
        ingress = [{"ip": address} for address in addresses]
        status = {"loadBalancer": {"ingress": ingress}}
        self.cluster.api.patch_status("Service", service, status, namespace or self.edge)
        return addresses

    def cluster_ip(self, service: str, namespace: str) -> str:
        """Address of a Service, IPv4 where it has both; waits until there is one."""
        read = partial(self.cluster.api.get, "Service", service, namespace)
        return self._wait(lambda: str(read()["spec"]["clusterIP"]), self.status)

    def apply_mail_proxy(self, name: str = "mail", **spec: Any) -> Manifest:
        """The MailProxy of this scene with all eight ports; `spec` replaces what it names."""
        whole = {
            "hostname": self.hostname,
            "listeners": self.listeners,
            "edge": {"namespace": self.edge},
            "ports": [{"name": name} for name in ALL_SERVICES],
            "mailServer": {"podSelector": {"matchLabels": MAIL_LABELS}},
        }
        return self.apply(
            {
                "apiVersion": "mailproxy.dev/v1alpha1",
                "kind": "MailProxy",
                "metadata": {"name": name, "namespace": self.mail},
                "spec": whole | spec,
            }
        )

    def add_mail_server(self, proxy: str = "mail", **options: Any) -> None:
        """The mail server with what the MailProxy has made for it; returns when it is ready."""
        overrides = self.wait_for_config_map(f"{proxy}-overrides")
        self.wait_for_config_map(f"{proxy}-trust")
        given = {
            "env": self.env,
            "hostname": self.hostname,
            "capabilities": self.capabilities,
        } | options
        if 4 not in self.cluster.addresses.families:
            given["env"] = NO_IPV4_ENV | given["env"]
        image = IMAGES[self.dovecot]
        self.apply_all(build_mail_server(self.mail, image, overrides, proxy=proxy, **given))
        self.wait_for_ready_pod(self.mail, options.get("labels", MAIL_LABELS))

    def restart_mail_server(self) -> None:
        """Delete its pod; returns when another one serves clients."""
        old = self.mail_pod()["metadata"]["name"]
        self.cluster.api.delete("Pod", old, self.mail)
        self._wait(lambda: self.live_pods(self.mail, _selector(MAIL_LABELS)), "a new pod")
        self.wait_for_ready_pod(self.mail, MAIL_LABELS)
        self.wait_for_banners(self.addresses[0])

    def mail_pod(self, labels: Mapping[str, str] = MAIL_LABELS) -> Manifest:
        """The mail server's pod."""
        return self.live_pods(self.mail, _selector(labels))[0]

    def is_mail_server_ready(self) -> bool:
        """Whether the kubelet says so."""
        return is_ready(self.mail_pod())

    def logs(self, labels: Mapping[str, str] = MAIL_LABELS, *, since: int = 0) -> str:
        """What the mail server has printed behind the first `since` bytes of its log."""
        return "".join(f"{line.text}\n" for line in self.log_lines(labels, since=since))

    def log_lines(
        self, labels: Mapping[str, str] = MAIL_LABELS, *, since: int = 0
    ) -> list[container_log.Line]:
        """The same with times."""
        return container_log.read_lines(self._log_file(labels), since)

    def log_size(self, labels: Mapping[str, str] = MAIL_LABELS) -> int:
        """Bytes of the log so far."""
        return self._log_file(labels).stat().st_size

    def _log_file(self, labels: Mapping[str, str]) -> Path:
        pod = self.mail_pod(labels)["metadata"]
        folder = self.cluster.run / "pod-logs"
        return container_log.find_log(folder, self.mail, pod["name"], pod["uid"], "mail")

    def run_in(
        self, namespace: str, pod: str, *, check: bool = True
    ) -> Callable[[Sequence[str], str], str]:
        """What runs a command in a pod: a function of command and standard input.

        Args:
            check: It may not fail.
        """

        def run(command: Sequence[str], text: str = "") -> str:
            where = [f"--namespace={namespace}", pod, "--", *command]
            answer = self.cluster.run_kubectl("exec", "--stdin", *where, input=text, check=check)
            return answer.stdout

        return run

    def run_in_mail_server(self, *command: str, labels: Mapping[str, str] = MAIL_LABELS) -> str:
        """Output of a command in the mail server's container."""
        return self.run_in(self.mail, self.mail_pod(labels)["metadata"]["name"])(command, "")

    def add_pod(self, namespace: str, name: str, labels: Mapping[str, str] | None = None) -> None:
        """A pod with Python and swaks that does what it is told; returns when it is ready."""
        self.apply(build_pod(namespace, name, labels))
        self.wait_for_ready_pod(namespace, {NAME: name})

    def live_pods(self, namespace: str, labels: str = "") -> Manifests:
        """Pods that are not on their way out."""
        pods = self.cluster.api.list("Pod", namespace, labels=labels)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def pod_addresses(self, namespace: str, name: str) -> list[str]:
        """Addresses of a pod, one for each IP family; waits until it has them."""
        read = partial(self.cluster.api.get, "Pod", name, namespace)
        return self._wait(lambda: [entry["ip"] for entry in read()["status"].get("podIPs", [])])

    def wait_until_running(self, namespace: str, name: str) -> None:
        """Wait until a pod's container runs, whether it is ready or not."""
        read = partial(self.cluster.api.get, "Pod", name, namespace)
        self._wait(lambda: "running" in read()["status"]["containerStatuses"][0]["state"])

    def wait_for_addresses(self, namespace: str, labels: str, count: int) -> None:
        """Wait until so many pods have addresses."""
        self._wait(
            lambda: sum("podIPs" in p["status"] for p in self.live_pods(namespace, labels)) >= count
        )

    def wait_for_ready_pod(self, namespace: str, labels: Mapping[str, str]) -> Manifest:
        """Wait until a pod with these labels is Ready, and return it."""

        def find() -> Manifest | None:
            pods = self.live_pods(namespace, _selector(labels))
            return next((pod for pod in pods if is_ready(pod)), None)

        found = self._wait(find, lambda: self.cluster.describe_pods(namespace))
        assert found
        return found

    def wait_for_config_map(self, name: str) -> dict[str, str]:
        """Wait until the operator has made it; returns its files."""
        return self._wait(
            lambda: dict(self.cluster.api.get("ConfigMap", name, self.mail)["data"]),
            lambda: self.status(),
        )

    def wait_for_banners(self, address: str, ports: Sequence[int] = (143, 587)) -> None:
        """Wait until Dovecot and Postfix answer there.

        Traefik accepts connections before it has read its routes, and these stay silent for ever.
        """

        def has_banner(port: int, patience: Iterator[int]) -> bool:
            with socket.create_connection((address, port), next(patience)) as connection:
                return bool(connection.recv(1))

        for port in ports:
            look = partial(has_banner, port, count(1))  # seconds; a busy machine needs more
            self._wait(look, f"a banner from {address} port {port}")

    def status(self, name: str = "mail") -> Manifest:
        """The MailProxy's status; empty before the first."""
        found: Manifest = self.cluster.api.get("MailProxy", name, self.mail).get("status", {})
        return found

    def wait_for_condition(
        self, type_: str, status: str, reason: str = "", name: str = "mail"
    ) -> Manifest:
        """Wait until a condition of the present spec has this status (and reason)."""

        def find() -> Manifest | None:
            proxy = self.cluster.api.get("MailProxy", name, self.mail)
            found = find_condition(proxy, type_)
            is_it = found.get("status") == status and found["reason"] == (reason or found["reason"])
            return found if is_it else None

        found = self._wait(find, lambda: self.status(name).get("conditions"))
        assert found
        return found

    def _wait(self, read: Callable[[], T], describe: Callable[[], object] | str = "") -> T:
        return wait_for(read, SETTLE_SECONDS, describe, interval=0.1)


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
