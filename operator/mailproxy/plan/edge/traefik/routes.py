"""IngressRouteTCP and ServersTransportTCP of a MailProxy."""

from mailproxy.api.edge import ProxyProtocolField, TraefikSpec
from mailproxy.api.mailproxy import MailProxy
from mailproxy.identity import Resource
from mailproxy.plan.edge.model import RoutedPort
from mailproxy.plan.metadata import Manifest, build_child, route_name, service_name

GROUP, VERSION = "traefik.io", "v1alpha1"
SERVERS_TRANSPORTS = Resource(GROUP, VERSION, "serverstransporttcps", "ServersTransportTCP")
INGRESS_ROUTES = Resource(GROUP, VERSION, "ingressroutetcps", "IngressRouteTCP")
INGRESS_CLASS_ANNOTATION = "kubernetes.io/ingress.class"


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
    settings = proxy.spec.edge.fields(TraefikSpec)
    if settings.proxy_protocol_field == ProxyProtocolField.SERVICE:
        backend["proxyProtocol"] = {"version": proxy.spec.edge.proxy_protocol.version}
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
    return _with_class(proxy, build_child(proxy, INGRESS_ROUTES, name, spec=spec))


def build_servers_transport(proxy: MailProxy) -> Manifest:
    """ServersTransportTCP that sends the header; an empty `proxyProtocol` would be version 0."""
    spec = {"proxyProtocol": {"version": proxy.spec.edge.proxy_protocol.version}}
    manifest = build_child(proxy, SERVERS_TRANSPORTS, proxy.name, spec=spec)
    return _with_class(proxy, manifest)


def _with_class(proxy: MailProxy, manifest: Manifest) -> Manifest:
    # The annotation, as spec.ingressClassName came only with Traefik 3.7.
    if name := proxy.spec.edge.fields(TraefikSpec).ingress_class_name:
        manifest["metadata"]["annotations"] = {INGRESS_CLASS_ANNOTATION: name}
    return manifest
