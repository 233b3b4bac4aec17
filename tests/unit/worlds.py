"""Builders of what unit tests start from: MailProxies, and objects as the API server sends them.

`observe` projects raw objects to a `World` as the operator's caches do, so that a test that
begins with bodies also covers the projections.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from mailproxy.api.finding import Finding
from mailproxy.api.labels import EDGE_ANNOTATION, MANAGED_BY_LABEL, MANAGER, NAME_LABEL
from mailproxy.api.mailproxy import MailProxy
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.status import Status, build_status
from mailproxy.observed.assemble import assemble
from mailproxy.observed.evidence import Evidence
from mailproxy.observed.snapshot import Snapshot
from mailproxy.observed.world import World
from mailproxy.plan.build import build_plan
from mailproxy.plan.edge.discover import discover_edge
from mailproxy.plan.edge.model import Edge
from mailproxy.plan.edge.registry import PROJECTIONS, find_adapter
from mailproxy.plan.model import CHILD_KINDS

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
    snapshot = Snapshot(map(complete, objects), PROJECTIONS, CHILD_KINDS.values())
    adapter = find_adapter(proxy.spec.edge.type)
    world = assemble(proxy, snapshot, adapter.select(proxy.spec.edge)).world
    assert world is not None
    return world


def complete(body: Body) -> Body:
    """The same with what the API server adds to every object."""
    metadata = {"uid": "uid", "resourceVersion": "1"} | body["metadata"]
    return body | {"metadata": metadata}


def judge(
    proxy: MailProxy,
    world: World,
    previous: Status | None = None,
    *,
    evidence: Evidence | None = None,
    failures: tuple[Finding, ...] = (),
) -> Status:
    """The status after a reconcile in which every write succeeded but those of `failures`."""
    plan = build_plan(proxy, world)
    case = Case(proxy, world, evidence or Evidence(), plan, failures)
    return build_status(case, previous or {}, NOW)


def condition(status: Status, type_: str) -> dict[str, Any]:
    """One condition of a status."""
    found: dict[str, Any] = next(c for c in status["conditions"] if c["type"] == type_)
    return found


def discover(proxy: MailProxy, objects: Iterable[Body]) -> Edge:
    """The edge of `proxy` in a cluster that holds `objects`."""
    adapter = find_adapter(proxy.spec.edge.type)
    return discover_edge(proxy.spec.edge, observe(proxy, objects), adapter)


def remembering(proxy: MailProxy, annotation: str) -> Body:
    """The `-trust` ConfigMap of `proxy` with what it remembers of the edge's pods."""
    body = child_body(proxy, "ConfigMap", proxy.trust_name)
    body["metadata"]["annotations"] = {EDGE_ANNOTATION: annotation}
    return body


def child_body(proxy: MailProxy, kind: str, name: str) -> Body:
    """A child of `proxy` as a former pass left it; only its content is missing."""
    return {
        "apiVersion": CHILD_KINDS[kind].api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": proxy.namespace,
            "uid": f"uid-{name}",
            "resourceVersion": "11",
            "labels": {MANAGED_BY_LABEL: MANAGER, NAME_LABEL: proxy.name},
            "ownerReferences": [proxy.owner_reference],
        },
    }
