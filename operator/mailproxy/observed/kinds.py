"""The kinds that every MailProxy reads, and what is kept of an object of each."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from mailproxy.api.base import GROUP, KIND, PLURAL, VERSION
from mailproxy.identity import PODS, Resource
from mailproxy.observed.child import read_child
from mailproxy.observed.config_map import read_config_map
from mailproxy.observed.endpoint_slice import read_endpoints
from mailproxy.observed.mail_proxy import read_proxy
from mailproxy.observed.node import read_node
from mailproxy.observed.pod import read_pod
from mailproxy.observed.service import read_service
from mailproxy.observed.workload import read_workload

Projection = Callable[[dict[str, Any]], Any]

MAIL_PROXIES = Resource(GROUP, VERSION, PLURAL, KIND)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")

# Watched and changed only for MailProxies that ask for it, by a right that is granted apart.
WORKLOADS = {
    resource.kind: resource
    for resource in (
        Resource("apps", "v1", "deployments", "Deployment"),
        Resource("apps", "v1", "statefulsets", "StatefulSet"),
    )
}


def find_projections(routes: Iterable[Resource]) -> Mapping[Resource, Projection]:
    """What is kept of an object, by its kind; `routes` are the kinds that edges' adapters make."""
    return {
        **{resource: partial(read_child, kind=resource.kind) for resource in routes},
        **{resource: partial(read_workload, kind=kind) for kind, resource in WORKLOADS.items()},
        NETWORK_POLICIES: partial(read_child, kind=NETWORK_POLICIES.kind),
        MAIL_PROXIES: read_proxy,
        PODS: read_pod,
        NODES: read_node,
        SERVICES: read_service,
        CONFIG_MAPS: read_config_map,
        ENDPOINT_SLICES: read_endpoints,
    }
