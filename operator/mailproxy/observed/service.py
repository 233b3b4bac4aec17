"""A Service, by what decisions need of it."""

from dataclasses import dataclass

from mailproxy.observed.body import Labels, Object, sorted_labels
from mailproxy.observed.child import Child, read_child


@dataclass(frozen=True)
class ServicePort:
    """One TCP port of a Service; `target` is a number or the name of a container port."""

    name: str
    port: int
    target: int | str


@dataclass(frozen=True)
class Service:
    """A Service: an edge's, by selector and ports, or a child of ours."""

    namespace: str
    name: str
    selector: Labels
    ports: tuple[ServicePort, ...]
    child: Child


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
