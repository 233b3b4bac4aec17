"""HAProxy as an edge of its own, or as one more hop in front of another."""

from collections.abc import Mapping

from tests.cluster.images import TOOLS_IMAGE
from tests.cluster.workloads import (
    START_SECONDS,
    build_config_map,
    build_deployment,
    build_edge_service,
    build_probe,
)
from tests.controlplane.api import Manifest
from tests.controlplane.edge import ENTRY_POINTS

HAPROXY_LABELS = {"app.kubernetes.io/name": "haproxy"}
_GLOBAL = """\
global
  log stdout format raw local0
defaults
  mode tcp
  log global
  timeout connect 5s
  timeout client 1h
  timeout server 1h
"""


def build_haproxy(namespace: str, host: str, ports: Mapping[str, int]) -> list[Manifest]:
    """HAProxy that sends a PROXY header, version 2, to `host`; with its LoadBalancer Service.

    Args:
        host: Address of the next hop.
        ports: Its port for each mail service.
    """
    sections = [_render_listener(service, host, port) for service, port in ports.items()]
    container = {
        "name": "haproxy",
        "image": TOOLS_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["haproxy", "-db", "-f", "/etc/haproxy-test/haproxy.cfg"],
        "ports": [
            {"name": point.port_name, "containerPort": point.port}
            for point in ENTRY_POINTS.values()
        ],
        "startupProbe": build_probe(2143, 1, START_SECONDS),
        "volumeMounts": [{"name": "config", "mountPath": "/etc/haproxy-test"}],
    }
    pod = {
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "haproxy"}}],
    }
    return [
        build_config_map(namespace, "haproxy", {"haproxy.cfg": _GLOBAL + "".join(sections)}),
        build_deployment(namespace, "haproxy", HAPROXY_LABELS, pod),
        build_edge_service(namespace, "haproxy", HAPROXY_LABELS),
    ]


def _render_listener(service: str, host: str, port: int) -> str:
    listen = ENTRY_POINTS[service].port
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # With `v4v6` an IPv4 client would arrive as ::ffff:192.0.2.7, and so stand in Dovecot's log.
    binds = f"  bind 0.0.0.0:{listen}\n  bind [::]:{listen} v6only\n"
    return f"listen {service}\n{binds}  server next {target} send-proxy-v2\n"
