"""What was observed: the few fields of cluster objects that decisions rest on.

Each `read_*` function projects one object as the API server sends it (a dict that may lack any
optional field, or hold null for it) to an immutable value; nothing else of the object is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mailproxy.api.base import GROUP
from mailproxy.api.networks import Network
from mailproxy.plan.addresses import Address, parse_addresses, parse_networks
from mailproxy.plan.volumes import Mount, Volume, read_mounts, read_volumes

Object = Mapping[str, Any]
Labels = tuple[tuple[str, str], ...]

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "mailproxy-operator"
NAME_LABEL = f"{GROUP}/name"
EDGE_ANNOTATION = f"{GROUP}/edge-pods"
TRUST_ANNOTATION = f"{GROUP}/trust-hash"

FINISHED_PHASES = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True)
class ContainerPort:
    name: str
    port: int
    host_port: int | None


@dataclass(frozen=True)
class Container:
    """One container; `arguments` are `command` and `args`, `environment` only literal values.

    `mounts` are those where our files are expected. Only where there is one `started_at` tells
    when it started, as RFC 3339 text; it is empty while the container does not run.
    """

    image: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    ports: tuple[ContainerPort, ...]
    name: str = ""
    mounts: tuple[Mount, ...] = ()
    started_at: str = ""


@dataclass(frozen=True)
class Pod:
    """One pod. `addresses` are `status.podIPs`; a hostNetwork pod has its node's.

    `trust_annotation` is the last poke that it was given (`plan/poke.py`).
    """

    namespace: str
    name: str
    node: str
    phase: str
    addresses: tuple[Address, ...]
    host_network: bool
    version_label: str
    containers: tuple[Container, ...]
    uid: str = ""
    trust_annotation: str = ""
    volumes: tuple[Volume, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether it may still open connections: it exists and has not finished."""
        return self.phase not in FINISHED_PHASES


@dataclass(frozen=True)
class ServicePort:
    """One TCP port of a Service; `target` is a number or the name of a container port."""

    name: str
    port: int
    target: int | str


@dataclass(frozen=True)
class Node:
    name: str
    addresses: tuple[Address, ...]
    pod_cidrs: tuple[Network, ...]


@dataclass(frozen=True)
class Endpoints:
    """One EndpointSlice of a PROXY Service: whose it is, and whether any pod in it is ready.

    `owner` is the MailProxy's name, from our label, which Kubernetes copies from the Service.
    """

    owner: str
    ready: bool


@dataclass(frozen=True)
class Child:
    """Identity of an object that carries our label, or has the name of one of our children.

    Of a ConfigMap of ours also the names of its `files`, and when we last changed it (RFC 3339).
    """

    kind: str
    name: str
    uid: str
    resource_version: str
    controller_uid: str | None
    labels: Labels = ()
    edge_annotation: str = ""
    files: tuple[str, ...] = ()
    changed_at: str = ""

    def is_owned_by(self, uid: str, name: str) -> bool:
        """Whether the MailProxy `name` with `uid` owns it, or lost only its owner reference."""
        if self.controller_uid is not None:
            return self.controller_uid == uid
        return dict(self.labels).items() >= {MANAGED_BY_LABEL: MANAGER, NAME_LABEL: name}.items()

    @property
    def owner(self) -> str:
        """Name of the MailProxy that the object says it belongs to."""
        return dict(self.labels).get(NAME_LABEL, "")

    @property
    def is_ours(self) -> bool:
        """Whether its label says that a mailproxy made it, for whatever MailProxy."""
        return dict(self.labels).get(MANAGED_BY_LABEL) == MANAGER


@dataclass(frozen=True)
class Service:
    """A Service: an edge's, by selector and ports, or a child of ours."""

    namespace: str
    name: str
    selector: Labels
    ports: tuple[ServicePort, ...]
    child: Child


@dataclass(frozen=True)
class ConfigMap:
    """A ConfigMap: a user's, by its files, or a child of ours, whose content is not kept.

    `files` are texts by their keys, sorted; `binary_keys` those of `binaryData`.
    """

    child: Child
    files: tuple[tuple[str, str], ...] = ()
    binary_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class PodSet:
    """Pods of one namespace that carry all of `labels`."""

    namespace: str
    labels: Labels = field(default=())


def sorted_labels(labels: Mapping[str, str] | None) -> Labels:
    return tuple(sorted((labels or {}).items()))


def read_pod(body: Object) -> Pod:
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    addresses = [entry.get("ip") for entry in status.get("podIPs") or []]
    started = {s["name"]: _read_start(s) for s in status.get("containerStatuses") or []}
    containers = tuple(_read_container(c, started) for c in spec.get("containers") or [])
    mounts = [mount for container in containers for mount in container.mounts]
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "Pending",
        addresses=parse_addresses(addresses or [status.get("podIP")]),
        host_network=bool(spec.get("hostNetwork")),
        version_label=(metadata.get("labels") or {}).get("app.kubernetes.io/version") or "",
        uid=metadata.get("uid") or "",
        trust_annotation=(metadata.get("annotations") or {}).get(TRUST_ANNOTATION) or "",
        containers=containers,
        volumes=read_volumes(spec.get("volumes") or [], mounts),
    )


def _read_start(container_status: Object) -> str:
    state = container_status.get("state") or {}
    return (state.get("running") or {}).get("startedAt") or ""


def _read_container(body: Object, started: Mapping[str, str]) -> Container:
    name, mounts = body.get("name") or "", read_mounts(body)
    environment = {e["name"]: e["value"] for e in body.get("env") or [] if e.get("value")}
    return Container(
        image=body.get("image") or "",
        arguments=(*(body.get("command") or ()), *(body.get("args") or ())),
        environment=tuple(sorted(environment.items())),
        ports=tuple(
            ContainerPort(port.get("name") or "", port["containerPort"], port.get("hostPort"))
            for port in body.get("ports") or []
            if (port.get("protocol") or "TCP") == "TCP"
        ),
        name=name,
        mounts=mounts,
        started_at=started.get(name, "") if mounts else "",
    )


def read_service(body: Object) -> Service:
    metadata, spec = body["metadata"], body.get("spec") or {}
    return Service(
        namespace=metadata["namespace"],
        name=metadata["name"],
        selector=sorted_labels(spec.get("selector")),
        ports=tuple(
            ServicePort(
                port.get("name") or "", port["port"], port.get("targetPort") or port["port"]
            )
            for port in spec.get("ports") or []
            if (port.get("protocol") or "TCP") == "TCP"
        ),
        child=read_child(body, "Service"),
    )


def read_config_map(body: Object) -> ConfigMap:
    child = read_child(body, "ConfigMap")
    if child.is_ours:
        files = tuple(sorted(body.get("data") or {}))
        return ConfigMap(replace(child, files=files, changed_at=_find_change(body["metadata"])))
    return ConfigMap(
        child,
        files=tuple(sorted((k, text or "") for k, text in (body.get("data") or {}).items())),
        binary_keys=tuple(sorted(body.get("binaryData") or {})),
    )


def _find_change(metadata: Object) -> str:
    """When our last apply that changed anything was; an apply that changes nothing does not count.

    Source: `managedFields`, which the API server keeps.
    """
    times = [
        entry.get("time") or ""
        for entry in metadata.get("managedFields") or []
        if (entry.get("manager"), entry.get("operation")) == (MANAGER, "Apply")
    ]
    return max(times, default="")


def read_node(body: Object) -> Node:
    spec, status = body.get("spec") or {}, body.get("status") or {}
    addresses = [
        entry.get("address")
        for entry in status.get("addresses") or []
        if entry.get("type") in ("InternalIP", "ExternalIP")
    ]
    cidrs = spec.get("podCIDRs") or [spec.get("podCIDR")]
    return Node(body["metadata"]["name"], parse_addresses(addresses), parse_networks(cidrs))


def read_endpoints(body: Object) -> Endpoints:
    conditions = (endpoint.get("conditions") or {} for endpoint in body.get("endpoints") or [])
    # A missing `ready` means unknown, which is to be taken as true (EndpointSlice API).
    owner = (body["metadata"].get("labels") or {}).get(NAME_LABEL, "")
    return Endpoints(owner, ready=any(c.get("ready") is not False for c in conditions))


def read_child(body: Object, kind: str) -> Child:
    metadata = body["metadata"]
    owners = metadata.get("ownerReferences") or []
    return Child(
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        controller_uid=next((o["uid"] for o in owners if o.get("controller")), None),
        labels=sorted_labels(metadata.get("labels")),
        edge_annotation=(metadata.get("annotations") or {}).get(EDGE_ANNOTATION, ""),
    )
