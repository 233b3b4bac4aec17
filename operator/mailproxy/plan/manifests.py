"""Every object that a MailProxy owns, as it is applied: names, labels, owner and content."""

from collections.abc import Iterable, Sequence
from typing import Any

from mailproxy.api.edge import ProxyProtocolField
from mailproxy.api.mailproxy import OVERRIDES_SUFFIX, TRUST_SUFFIX, MailProxy
from mailproxy.api.networks import Network
from mailproxy.api.spec import Listeners
from mailproxy.plan.edge import RoutedPort
from mailproxy.plan.observed import EDGE_ANNOTATION, MANAGED_BY_LABEL, MANAGER, NAME_LABEL, PodSet
from mailproxy.plan.ports import MAIL_SERVICES, MailService

Manifest = dict[str, Any]

TRAEFIK_API = "traefik.io/v1alpha1"
INGRESS_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
HIGHEST_PORT = 65535


def overrides_name(proxy: MailProxy) -> str:
    return f"{proxy.name}{OVERRIDES_SUFFIX}"


def trust_name(proxy: MailProxy) -> str:
    return f"{proxy.name}{TRUST_SUFFIX}"


def service_name(proxy: MailProxy) -> str:
    return f"{proxy.name}-proxy"


def route_name(proxy: MailProxy, service: MailService) -> str:
    return f"{proxy.name}-{service.name}"


def policy_name(proxy: MailProxy) -> str:
    return f"{proxy.name}-proxy-ports"


def _build(proxy: MailProxy, api_version: str, kind: str, name: str, **content: Any) -> Manifest:
    """Put the frame around `content`: the user's labels and annotations are never copied.

    GitOps tools would take a child that carries theirs for an object to prune.
    """
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": proxy.namespace,
            "labels": {MANAGED_BY_LABEL: MANAGER, NAME_LABEL: proxy.name},
            "ownerReferences": [proxy.owner_reference],
        },
        **content,
    }


def build_config_map(
    proxy: MailProxy, name: str, files: dict[str, str], edge_annotation: str = ""
) -> Manifest:
    """ConfigMap with one key for each file; the annotation remembers the edge's pods."""
    manifest = _build(proxy, "v1", "ConfigMap", name, data=files)
    if edge_annotation:
        manifest["metadata"]["annotations"] = {EDGE_ANNOTATION: edge_annotation}
    return manifest


def build_service(proxy: MailProxy, services: Iterable[MailService]) -> Manifest:
    """ClusterIP Service with the PROXY ports and nothing else.

    `type` and `externalIPs` are sent so that they are ours: what others add to fields that we do
    not send would survive, and these two would open the PROXY ports to the outside.
    """
    ports = [
        {
            "name": service.service_port,
            "protocol": "TCP",
            "port": service.target_port(proxy.spec.listeners),
            "targetPort": service.target_port(proxy.spec.listeners),
        }
        for service in services
    ]
    spec = {
        "type": "ClusterIP",
        "externalIPs": [],
        "selector": dict(sorted(proxy.spec.mail_server.pod_selector.match_labels.items())),
        "ports": ports,
    }
    return _build(proxy, "v1", "Service", service_name(proxy), spec=spec)


def build_route(proxy: MailProxy, port: RoutedPort) -> Manifest:
    """IngressRouteTCP of one port, with one route.

    Two routes with the same match in one object collide, and a route without entryPoints binds to
    all of them. `nativeLB: false` keeps the pods' own addresses as targets.
    """
    backend: Manifest = {
        "name": service_name(proxy),
        "port": port.service.service_port,
        "nativeLB": False,
    }
    protocol = proxy.spec.edge.proxy_protocol
    if protocol.field == ProxyProtocolField.SERVICE:
        backend["proxyProtocol"] = {"version": protocol.version}
    else:
        backend["serversTransport"] = proxy.name
    match = f"HostSNI(`{proxy.spec.hostname}`)" if port.by_hostname else "HostSNI(`*`)"
    spec: Manifest = {
        "entryPoints": [port.entry_point],
        "routes": [{"match": match, "services": [backend]}],
    }
    if port.by_hostname:
        spec["tls"] = {"passthrough": True}
    name = route_name(proxy, port.service)
    return _with_class(proxy, _build(proxy, TRAEFIK_API, "IngressRouteTCP", name, spec=spec))


def build_servers_transport(proxy: MailProxy) -> Manifest:
    """ServersTransportTCP that sends the header; an empty `proxyProtocol` would be version 0."""
    spec = {"proxyProtocol": {"version": proxy.spec.edge.proxy_protocol.version}}
    manifest = _build(proxy, TRAEFIK_API, "ServersTransportTCP", proxy.name, spec=spec)
    return _with_class(proxy, manifest)


def _with_class(proxy: MailProxy, manifest: Manifest) -> Manifest:
    # The annotation, as spec.ingressClassName came only with Traefik 3.7.
    if name := proxy.spec.edge.ingress_class_name:
        manifest["metadata"]["annotations"] = {INGRESS_CLASS_ANNOTATION: name}
    return manifest


def build_network_policy(
    proxy: MailProxy, edge_pods: PodSet | None, networks: Sequence[Network]
) -> Manifest:
    """NetworkPolicy that admits the edge to the PROXY ports and everybody to all other ports.

    `networks` are admitted beside the edge's pods. With no peer at all the rule is left out: an
    empty `from` would be stored as "anybody".
    """
    guarded = guarded_ports(proxy)
    peers: list[Manifest] = [{"ipBlock": {"cidr": str(network)}} for network in networks]
    if edge_pods is not None:
        peers.insert(0, _pods_peer(edge_pods))
    rules: list[Manifest] = [{"ports": _open_ports(guarded)}]
    if peers:
        ports = [{"protocol": "TCP", "port": port} for port in guarded]
        rules.insert(0, {"from": peers, "ports": ports})
    spec = {
        "podSelector": {
            "matchLabels": dict(sorted(proxy.spec.mail_server.pod_selector.match_labels.items()))
        },
        "policyTypes": ["Ingress"],
        "ingress": rules,
    }
    name = policy_name(proxy)
    return _build(proxy, "networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def guarded_ports(proxy: MailProxy) -> list[int]:
    """Ports that only the edge may reach, sorted.

    The eight extra ports always: a mail server that has not restarted since the last change
    still listens on them. With `Shared` also the normal ports of the chosen services.
    """
    ports = {service.proxy_port for service in MAIL_SERVICES}
    if proxy.spec.listeners == Listeners.SHARED:
        ports |= {s.port for s in MAIL_SERVICES if s.name in proxy.spec.ports_by_name}
    return sorted(ports)


def _pods_peer(pods: PodSet) -> Manifest:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}},
        "podSelector": {"matchLabels": dict(pods.labels)},
    }


def _open_ports(guarded: list[int]) -> list[Manifest]:
    """Complement of the guarded TCP ports as ranges, and all of UDP and SCTP."""
    ranges: list[Manifest] = []
    begin = 1
    for port in [*guarded, HIGHEST_PORT + 1]:
        if begin < port:
            ranges.append({"protocol": "TCP", "port": begin, "endPort": port - 1})
        begin = port + 1
    others = ({"protocol": p, "port": 1, "endPort": HIGHEST_PORT} for p in ("UDP", "SCTP"))
    return [*ranges, *others]
