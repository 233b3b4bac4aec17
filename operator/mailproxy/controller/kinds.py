"""The kinds that the operator reads and writes, and what is kept of an object of each."""

from collections.abc import Callable
from functools import partial
from typing import Any

from mailproxy.api.base import GROUP, KIND, PLURAL, VERSION
from mailproxy.kube.resource import Resource
from mailproxy.observed.child import read_child
from mailproxy.observed.config_map import read_config_map
from mailproxy.observed.endpoint_slice import read_endpoints
from mailproxy.observed.mail_proxy import read_proxy
from mailproxy.observed.node import read_node
from mailproxy.observed.pod import read_pod
from mailproxy.observed.service import read_service
from mailproxy.observed.workload import read_workload

MAIL_PROXIES = Resource(GROUP, VERSION, PLURAL, KIND)
PODS = Resource("", "v1", "pods", "Pod")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
CHILDREN = {
    resource.kind: resource
    for resource in (
        CONFIG_MAPS,
        Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
        SERVICES,
        Resource("traefik.io", "v1alpha1", "ingressroutetcps", "IngressRouteTCP"),
        Resource("traefik.io", "v1alpha1", "serverstransporttcps", "ServersTransportTCP"),
    )
}

# Watched and changed only for MailProxies that ask for it, by a right that is granted apart.
WORKLOADS = {
    resource.kind: resource
    for resource in (
        Resource("apps", "v1", "deployments", "Deployment"),
        Resource("apps", "v1", "statefulsets", "StatefulSet"),
    )
}
PROJECTIONS: dict[Resource, Callable[[dict[str, Any]], Any]] = {
    **{resource: partial(read_child, kind=kind) for kind, resource in CHILDREN.items()},
    **{resource: partial(read_workload, kind=kind) for kind, resource in WORKLOADS.items()},
    MAIL_PROXIES: read_proxy,
    PODS: read_pod,
    NODES: read_node,
    SERVICES: read_service,
    CONFIG_MAPS: read_config_map,
    ENDPOINT_SLICES: read_endpoints,
}
