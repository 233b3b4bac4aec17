"""Builders of what unit tests start from: MailProxies, and objects as the API server sends them.

`observe` projects raw objects to a `World` as the operator's caches do, so that a test that
begins with bodies also covers the projections.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from mailproxy.api.labels import NAME_LABEL
from mailproxy.api.mailproxy import MailProxy
from mailproxy.diagnose.status import Status, build_status
from mailproxy.observed.child import Child, read_child
from mailproxy.observed.config_map import read_config_map
from mailproxy.observed.endpoint_slice import read_endpoints
from mailproxy.observed.node import Node, read_node
from mailproxy.observed.pod import Pod, read_pod
from mailproxy.observed.selectors import (
    PodSet,
    find_client_pods,
    find_pod_set,
    load_pod_set,
    needs_nodes,
)
from mailproxy.observed.service import read_service
from mailproxy.observed.workload import Workload, read_workload
from mailproxy.observed.world import World
from mailproxy.plan.build import build_plan
from mailproxy.plan.edge.facts import Edge
from mailproxy.plan.edge.pods import discover_edge
from mailproxy.plan.metadata import trust_name
from mailproxy.plan.model import CHILD_KINDS
from mailproxy.plan.rollout.workload import find_target

Body = dict[str, Any]

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_NAMES = sorted(path.parent.name for path in GOLDEN.glob("*/input.yaml"))
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is there

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
CREATED = "2026-07-01T10:00:00Z"
UID = "0f3c1a52-7a40-4f6e-9f0a-6d2f0c5b7e11"
TRAEFIK_LABELS = {
    "app.kubernetes.io/name": "traefik",
    "app.kubernetes.io/instance": "traefik-traefik",
}
MAIL_LABELS = {"app.kubernetes.io/name": "docker-mailserver"}
CHART_ENTRY_POINTS = {"mail-smtp": 2525, "mail-submission": 2587, "submissions": 2465} | {
    "mail-imap": 2143,
    "mail-imaps": 2993,
}
CHART_PORTS = {25: "mail-smtp", 587: "mail-submission", 465: "submissions", 143: "mail-imap"} | {
    993: "mail-imaps"
}


def read_documents(name: str, file: str) -> list[Body]:
    """All documents of one file of a golden case."""
    return list(yaml.load_all((GOLDEN / name / file).read_text(), Loader=_Loader))


def mail_proxy_body(
    name: str = "mail",
    namespace: str = "mail",
    *,
    uid: str = UID,
    created: str = CREATED,
    **spec: Any,
) -> Body:
    """A MailProxy with the given fields of `spec` (as in YAML) beside the required ones."""
    required = {
        "hostname": "mail.example.com",
        "mailServer": {"podSelector": {"matchLabels": dict(MAIL_LABELS)}},
    }
    metadata = {"name": name, "namespace": namespace, "uid": uid, "generation": 1}
    return {
        "apiVersion": "mailproxy.dev/v1alpha1",
        "kind": "MailProxy",
        "metadata": metadata | {"creationTimestamp": created},
        "spec": required | spec,
    }


def mail_proxy(name: str = "mail", namespace: str = "mail", **content: Any) -> MailProxy:
    """The same, parsed."""
    return MailProxy.model_validate(mail_proxy_body(name, namespace, **content))


def selecting(**labels: str) -> Body:
    """`mailServer` that selects pods by these labels."""
    return {"podSelector": {"matchLabels": labels}}


def pod_body(name: str = "traefik-0", ips: Sequence[str] = ("10.244.1.2",), **content: Any) -> Body:
    """A running pod of the edge; `content` replaces what it says of itself.

    Keyword arguments: `namespace`, `labels`, `node`, `phase`, `host_network`, and those of
    `container_body` unless `containers` is given.
    """
    namespace = content.pop("namespace", "traefik")
    labels = content.pop("labels", TRAEFIK_LABELS)
    node = content.pop("node", "node-1")
    phase = content.pop("phase", "Running")
    spec: Body = {"nodeName": node} if node else {}
    if content.pop("host_network", False):
        spec["hostNetwork"] = True
    containers = content.pop("containers", None)
    spec["containers"] = containers if containers is not None else [container_body(**content)]
    status: Body = {"phase": phase}
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "7"}
    metadata["labels"] = dict(labels)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def container_body(
    image: str = "traefik:v3.7.9",
    args: Sequence[str] | None = None,
    env: Sequence[Body] = (),
    ports: Sequence[Body] | None = None,
    command: Sequence[str] | None = None,
) -> Body:
    """Traefik as its Helm chart runs it, with `CHART_ENTRY_POINTS` unless `args` is given."""
    if args is None:
        args = [f"--entryPoints.{n}.address=:{port}/tcp" for n, port in CHART_ENTRY_POINTS.items()]
    if ports is None:
        ports = [
            {"name": n, "containerPort": port, "protocol": "TCP"}
            for n, port in CHART_ENTRY_POINTS.items()
        ]
    body: Body = {"name": "traefik", "image": image, "args": list(args), "ports": list(ports)}
    if env:
        body["env"] = list(env)
    if command is not None:
        body["command"] = list(command)
    return body


def service_body(
    name: str = "traefik",
    namespace: str = "traefik",
    *,
    selector: dict[str, str] | None = None,
    ports: Iterable[Body] | None = None,
) -> Body:
    """The edge's Service; without `ports` it publishes `CHART_PORTS`."""
    if ports is None:
        ports = [service_port(number, target) for number, target in CHART_PORTS.items()]
    spec: Body = {"type": "LoadBalancer", "ports": list(ports)}
    labels = TRAEFIK_LABELS if selector is None else selector
    if labels:
        spec["selector"] = dict(labels)
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "8"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def service_port(number: int, target: int | str, protocol: str = "TCP") -> Body:
    """One port of a Service."""
    return {"name": f"p{number}", "port": number, "targetPort": target, "protocol": protocol}


def node_body(name: str, addresses: Sequence[str] = (), pod_cidrs: Sequence[str] = ()) -> Body:
    """A node with internal addresses and the networks of its pods."""
    spec = {"podCIDR": pod_cidrs[0], "podCIDRs": list(pod_cidrs)} if pod_cidrs else {}
    internal = [{"type": "InternalIP", "address": address} for address in addresses]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "9"},
        "spec": spec,
        "status": {"addresses": [*internal, {"type": "Hostname", "address": name}]},
    }


def config_map_body(
    name: str, namespace: str = "mail", *, data: dict[str, str] | None = None
) -> Body:
    """A ConfigMap of the user's."""
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "10"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {}}


def endpoints_body(owner: str = "mail", namespace: str = "mail", *, ready: bool = True) -> Body:
    """An EndpointSlice of the PROXY Service of the MailProxy `owner`."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{owner}-proxy-x2b4c",
            "namespace": namespace,
            "labels": {NAME_LABEL: owner},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.2.9"], "conditions": {"ready": ready}}],
    }


def observe(proxy: MailProxy, objects: Iterable[Body]) -> World:
    """What the operator knows of a cluster that holds `objects`, for `proxy`."""
    bodies = list(objects)
    spec = proxy.spec.edge
    children = _read_children(proxy, bodies)
    services = map(read_service, _of_kind(bodies, "Service", spec.namespace))
    service = next((s for s in services if s.name == spec.resolved_service_name), None)
    trust_map = children.get(("ConfigMap", trust_name(proxy)))
    remembered = load_pod_set(trust_map.edge_annotation) if trust_map else None
    pod_set = find_pod_set(spec, service, remembered)
    pods: tuple[Pod, ...] = ()
    if pod_set is not None:
        pods = _read_pods(bodies, pod_set)
    nodes: dict[str, Node] = {}
    if needs_nodes(proxy.spec.trust, pods):
        nodes = {node.name: node for node in map(read_node, _of_kind(bodies, "Node"))}
    own = [
        read_config_map(body)
        for body in _of_kind(bodies, "ConfigMap", proxy.namespace)
        if body["metadata"]["name"] == proxy.spec.mail_server.overrides_from
    ]
    selector = proxy.spec.mail_server.pod_selector.match_labels
    mail_pods = tuple(
        read_pod(body)
        for body in _of_kind(bodies, "Pod", proxy.namespace)
        if (body["metadata"].get("labels") or {}).items() >= selector.items()
    )
    slices = [read_endpoints(body) for body in _of_kind(bodies, "EndpointSlice", proxy.namespace)]
    ours = [piece.ready for piece in slices if piece.owner == proxy.name]
    return World(
        others=tuple(
            other
            for other in map(MailProxy.model_validate, _of_kind(bodies, "MailProxy"))
            if (other.namespace, other.name) != (proxy.namespace, proxy.name)
        ),
        edge_service=service,
        pod_set=pod_set,
        pods=pods,
        nodes=nodes,
        has_ready_endpoints=any(ours) if ours else None,
        children=children,
        user_overrides=own[0] if own else None,
        client_pods={
            client: _read_pods(bodies, where) for client, where in find_client_pods(proxy).items()
        },
        mail_pods=mail_pods,
        workload=_find_workload(proxy, bodies),
    )


def _find_workload(proxy: MailProxy, bodies: list[Body]) -> Workload | None:
    ref = find_target(proxy)
    if ref is None:
        return None
    found = (read_workload(body, ref.kind) for body in _of_kind(bodies, ref.kind, proxy.namespace))
    return next((workload for workload in found if workload.name == ref.name), None)


def judge(proxy: MailProxy, world: World, previous: Status | None = None) -> Status:
    """The status after a reconcile in which every write succeeded."""
    return build_status(proxy, world, build_plan(proxy, world), (), previous or {}, NOW)


def condition(status: Status, type_: str) -> dict[str, Any]:
    """One condition of a status."""
    found: dict[str, Any] = next(c for c in status["conditions"] if c["type"] == type_)
    return found


def discover(proxy: MailProxy, objects: Iterable[Body]) -> Edge:
    """The edge of `proxy` in a cluster that holds `objects`."""
    world = observe(proxy, objects)
    return discover_edge(proxy.spec.edge, world.edge_service, world.pod_set, world.pods)


def remembering(proxy: MailProxy, annotation: str) -> Body:
    """The `-trust` ConfigMap of `proxy` with what it remembers of the edge's pods."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": trust_name(proxy),
            "namespace": proxy.namespace,
            "uid": "uid-trust",
            "resourceVersion": "11",
            "labels": {
                "app.kubernetes.io/managed-by": "mailproxy-operator",
                NAME_LABEL: proxy.name,
            },
            "annotations": {"mailproxy.dev/edge-pods": annotation},
            "ownerReferences": [proxy.owner_reference],
        },
    }


def _read_children(proxy: MailProxy, bodies: list[Body]) -> dict[tuple[str, str], Child]:
    found = [
        read_config_map(body).child if kind == "ConfigMap" else read_child(body, kind)
        for kind in sorted(CHILD_KINDS)
        for body in _of_kind(bodies, kind, proxy.namespace)
    ]
    return {(child.kind, child.name): child for child in found if child.owner == proxy.name}


def _read_pods(bodies: list[Body], pod_set: PodSet) -> tuple[Pod, ...]:
    return tuple(
        read_pod(body)
        for body in _of_kind(bodies, "Pod", pod_set.namespace)
        if (body["metadata"].get("labels") or {}).items() >= dict(pod_set.labels).items()
    )


def _of_kind(bodies: list[Body], kind: str, namespace: str | None = None) -> list[Body]:
    return [
        body
        for body in bodies
        if body["kind"] == kind
        and (namespace is None or body["metadata"]["namespace"] == namespace)
    ]
