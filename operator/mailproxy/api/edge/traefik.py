"""`spec.edge.traefik`: what only an edge of type Traefik has."""

from enum import StrEnum

from pydantic import Field

from mailproxy.api.base import ApiModel
from mailproxy.api.names import IngressClassName


class ProxyProtocolField(StrEnum):
    SERVICE = "Service"
    SERVERS_TRANSPORT = "ServersTransport"


class TraefikSpec(ApiModel):
    """Settings of an edge of type `Traefik`."""

    ingress_class_name: IngressClassName | None = Field(
        default=None,
        description="Ingress class of the routes, for a Traefik that only serves one class."
        " Defaults to no class.",
    )
    proxy_protocol_field: ProxyProtocolField = Field(
        default=ProxyProtocolField.SERVICE,
        description="Where the PROXY protocol version is configured. `Service` sets it in"
        " the routes and works with every Traefik 3. `ServersTransport` creates a"
        " ServersTransportTCP, which needs Traefik 3.5.3 or newer with its own CRDs. Never both:"
        " Traefik then ignores the first. Defaults to `Service`.",
    )
