"""Stands in for the cluster around the operator: nodes, Traefik and the mail server's pods.

No kubelet runs, so these objects are all there is of them. They look like those of Traefik's Helm
chart and of docker-mailserver's, and their status is written as a kubelet would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.controlplane.api import Api, Manifest, Manifests, list_path, wait_for

TRAEFIK_NAMESPACE = "traefik"
TRAEFIK_IMAGE = "traefik:v3.7.9"
MAIL_LABELS = {"app.kubernetes.io/name": "docker-mailserver"}
MAIL_IMAGE = "docker.io/mailserver/docker-mailserver:15.1.0"
OVERRIDES = ("dovecot.cf", "postfix-main.cf", "postfix-master.cf", "user-patches.sh")
# A kubelet would wait for the ConfigMaps. Here a mail server is there before them, and in their
# place starts after them all the same.
LATER = "2100-01-01T00:00:00Z"
PORT_NAME_LIMIT = 15  # Kubernetes allows no longer name for the port of a container


@dataclass(frozen=True)
class EntryPoint:
    """A port on which Traefik listens, and the one under which its Service publishes it."""

    name: str
    port: int
    exposed_port: int

    @property
    def port_name(self) -> str:
        """Its name in the pod and in the Service.

        The chart takes the first 15 characters. With `mail-submissions` beside `mail-submission`
        that gives one name twice, which the API server refuses; so a long name loses `mail-`.
        """
        return self.name if len(self.name) <= PORT_NAME_LIMIT else self.name.removeprefix("mail-")

    @property
    def argument(self) -> str:
        """Traefik's command-line argument, spelled as the chart spells it."""
        return f"--entryPoints.{self.name}.address=:{self.port}/tcp"


ENTRY_POINTS = {
    "smtp": EntryPoint("mail-smtp", 2525, 25),
    "submission": EntryPoint("mail-submission", 2587, 587),
    "submissions": EntryPoint("mail-submissions", 2465, 465),
    "imap": EntryPoint("mail-imap", 2143, 143),
    "imaps": EntryPoint("mail-imaps", 2993, 993),
    "pop3": EntryPoint("mail-pop3", 2110, 110),
    "pop3s": EntryPoint("mail-pop3s", 2995, 995),
    "sieve": EntryPoint("mail-sieve", 24190, 4190),
}
ALL_SERVICES = tuple(ENTRY_POINTS)


def create_namespace(api: Api, name: str, labels: Mapping[str, str] | None = None) -> None:
    """Create a namespace, unless it exists, and wait until pods can be created in it."""
    metadata = {"name": name, "labels": dict(labels or {})}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    wait_for(lambda: api.get("ServiceAccount", "default", name), 30, f"{name}'s ServiceAccount")


def delete_namespace(api: Api, name: str) -> None:
    """Ask for the end of a namespace, without waiting for it.

    Its pods go first: no kubelet would end their grace periods, and the controller manager would
    try to empty the namespace for ever.
    """
    now = {"gracePeriodSeconds": 0}
    api.request("DELETE", list_path("Pod", name), now)
    api.delete("Namespace", name)


def create_node(
    api: Api, name: str, addresses: Sequence[str], pod_cidrs: Sequence[str] = ()
) -> Manifest:
    """A ready node; without it the controller manager ignores its pods, then deletes them.

    Args:
        addresses: Internal IP addresses, at most one of each family.
        pod_cidrs: Networks from which its pods get theirs, such as `10.244.1.0/24`.
    """
    spec = {"podCIDR": pod_cidrs[0], "podCIDRs": list(pod_cidrs)} if pod_cidrs else {}
    api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})
    status = {
        "addresses": [{"type": "InternalIP", "address": address} for address in addresses]
        + [{"type": "Hostname", "address": name}],
        "conditions": [_condition("Ready", True, reason="KubeletReady")],
    }
    return api.patch_status("Node", name, status)


def create_traefik_service(
    api: Api,
    *,
    namespace: str = TRAEFIK_NAMESPACE,
    name: str = "traefik",
    services: Sequence[str] = ALL_SERVICES,
    spec: Manifest | None = None,
) -> Manifest:
    """The LoadBalancer Service that the chart makes.

    Args:
        services: Keys of `ENTRY_POINTS`: what it publishes.
        spec: Added to the Service's spec, e.g. `{"externalTrafficPolicy": "Local"}`.
    """
    ports = [
        {"name": e.port_name, "port": e.exposed_port, "targetPort": e.port_name, "protocol": "TCP"}
        for e in _entry_points(services)
    ]
    wanted = {"type": "LoadBalancer", "selector": traefik_selector(namespace), "ports": ports}
    metadata = {"name": name, "namespace": namespace, "labels": traefik_labels(namespace)}
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    return api.create(manifest | {"spec": wanted | (spec or {})})


def create_proxy_pod(
    api: Api,
    name: str,
    ips: Sequence[str],
    node: str,
    *,
    namespace: str = TRAEFIK_NAMESPACE,
    services: Sequence[str] = ALL_SERVICES,
    args: Sequence[str] | None = None,
    image: str = TRAEFIK_IMAGE,
    ready: bool = True,
    host_network: bool = False,
) -> Manifest:
    """A pod of Traefik, running, with addresses.

    Args:
        ips: One address, or one of each family; the node's own with `host_network`.
        node: Name of a node that exists.
        services: Keys of `ENTRY_POINTS`: on what it listens.
        args: Traefik's command line instead of the chart's for `services`.
    """
    entry_points = _entry_points(services)
    container = {
        "name": "traefik",
        "image": image,
        "args": list(args) if args is not None else chart_arguments(services),
        "ports": [{"name": e.port_name, "containerPort": e.port} for e in entry_points],
        "readinessProbe": {"httpGet": {"path": "/ping", "port": 8080}},
    }
    spec = {"nodeName": node, "hostNetwork": host_network, "containers": [container]}
    create_pod(api, name, namespace, traefik_labels(namespace), spec)
    return set_pod_status(api, name, ips, namespace=namespace, ready=ready)


def create_mail_pod(
    api: Api,
    name: str,
    ips: Sequence[str],
    node: str,
    *,
    namespace: str,
    labels: Mapping[str, str] = MAIL_LABELS,
    image: str = MAIL_IMAGE,
    ready: bool = True,
    proxy: str = "mail",
    container: Manifest | None = None,
    started: str = LATER,
) -> Manifest:
    """A pod of docker-mailserver, running, with addresses, that mounts what README says.

    Args:
        proxy: Name of the MailProxy whose ConfigMaps it mounts.
        container: Replaces parts of the container, e.g. `{"volumeMounts": [], "env": [...]}`.
        started: When its container has started.
    """
    ports = [{"name": s, "containerPort": e.exposed_port} for s, e in ENTRY_POINTS.items()]
    mounts, volumes = build_mounts(proxy)
    plain = {"name": "docker-mailserver", "image": image, "ports": ports, "volumeMounts": mounts}
    spec = {"nodeName": node, "containers": [plain | (container or {})], "volumes": volumes}
    create_pod(api, name, namespace, labels, spec)
    return set_pod_status(api, name, ips, namespace=namespace, ready=ready, started=started)


def build_mounts(
    proxy: str = "mail", files: Sequence[str] = OVERRIDES
) -> tuple[Manifests, Manifests]:
    """volumeMounts and volumes of a mail server, for the ConfigMaps of a MailProxy."""
    mounts = [
        {"name": "overrides", "mountPath": f"/tmp/docker-mailserver/{file}", "subPath": file}
        for file in files
    ]
    mounts.append({"name": "trust", "mountPath": "/etc/mailproxy/trust"})
    volumes = [
        {"name": suffix, "configMap": {"name": f"{proxy}-{suffix}"}}
        for suffix in ("overrides", "trust")
    ]
    return mounts, volumes


def create_pod(
    api: Api, name: str, namespace: str, labels: Mapping[str, str], spec: Manifest
) -> Manifest:
    """Any pod; it stays Pending until `set_pod_status`."""
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels)}
    return api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def set_pod_status(
    api: Api,
    name: str,
    ips: Sequence[str],
    *,
    namespace: str = TRAEFIK_NAMESPACE,
    ready: bool = True,
    phase: str = "Running",
    started: str = "",
) -> Manifest:
    """Write what a kubelet reports of a pod; addresses and all else are replaced.

    It is a merge patch: a strategic one would add `ips` to the old addresses.
    """
    containers = api.get("Pod", name, namespace)["spec"]["containers"]
    now = _now()
    status: Manifest = {
        "phase": phase,
        "startTime": now,
        "podIP": ips[0] if ips else None,
        "podIPs": [{"ip": ip} for ip in ips],
        "conditions": [_condition(kind, ready) for kind in ("Ready", "ContainersReady")],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "restartCount": 0,
                "state": {"running": {"startedAt": started or now}},
            }
            for container in containers
        ],
    }
    return api.patch_status("Pod", name, status, namespace)


def delete_pod(api: Api, name: str, namespace: str = TRAEFIK_NAMESPACE) -> None:
    """Delete a pod at once: no kubelet would end its grace period."""
    api.delete("Pod", name, namespace, grace_seconds=0)


def traefik_selector(namespace: str, release: str = "traefik") -> dict[str, str]:
    """Labels by which the chart's Service finds its pods."""
    instance = f"{release}-{namespace}"
    return {"app.kubernetes.io/name": "traefik", "app.kubernetes.io/instance": instance}


def traefik_labels(namespace: str) -> dict[str, str]:
    """Labels of all that the chart makes."""
    return traefik_selector(namespace) | {"app.kubernetes.io/managed-by": "Helm"}


def chart_arguments(services: Sequence[str] = ALL_SERVICES) -> list[str]:
    """Traefik's command line as the chart writes it, with the mail entryPoints of `services`."""
    return [
        "--entryPoints.traefik.address=:8080/tcp",
        "--entryPoints.web.address=:8000/tcp",
        "--entryPoints.websecure.address=:8443/tcp",
        *(entry_point.argument for entry_point in _entry_points(services)),
        "--ping=true",
        "--providers.kubernetescrd",
        "--providers.kubernetescrd.allowEmptyServices=true",
        "--entryPoints.websecure.http.tls=true",
    ]


def _entry_points(services: Sequence[str]) -> list[EntryPoint]:
    return [ENTRY_POINTS[service] for service in services]


def _condition(kind: str, holds: bool, *, reason: str = "") -> dict[str, Any]:
    status = "True" if holds else "False"
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": _now()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
