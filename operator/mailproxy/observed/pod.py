"""A Pod, by what decisions need of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailproxy.api.labels import TRUST_ANNOTATION
from mailproxy.observed.addresses import Address, parse_addresses
from mailproxy.observed.body import Object
from mailproxy.observed.volumes import Mount, Volume, read_mounts, read_volumes

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

    `trust_annotation` is that of the last volume refresh (`plan/rollout/volume_refresh.py`).
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
