"""`spec.edge`: the proxy in front and how it is found."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticKnownError

from mailproxy.api.base import ApiModel, Rule, schema_rules
from mailproxy.api.names import IngressClassName, NamespaceName, PodSelector, ServiceName


class EdgeType(StrEnum):
    TRAEFIK = "Traefik"
    GENERIC = "Generic"


class ProxyProtocolField(StrEnum):
    SERVICE = "Service"
    SERVERS_TRANSPORT = "ServersTransport"


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # `true` equals 1
        raise PydanticKnownError("int_type")
    return value


class ProxyProtocolSpec(ApiModel):
    """How the edge tells the mail server the client's address."""

    version: Annotated[Literal[1, 2], BeforeValidator(_refuse_boolean)] = Field(
        default=2,
        description="Version of the PROXY protocol header that the edge sends: 2 (binary) or 1"
        " (text). Postfix and Dovecot read both. Left out: 2.",
    )
    field: ProxyProtocolField = Field(
        default=ProxyProtocolField.SERVICE,
        description="Where Traefik is told to send the header: `Service` sets it in the routes"
        " and works with every Traefik 3; `ServersTransport` makes a ServersTransportTCP, which"
        " needs Traefik 3.5.3 or newer with its own CRDs. Never both: Traefik then ignores the"
        " first. Left out: `Service`.",
    )


_GENERIC_FINDS_PODS = Rule(
    "self.type != 'Generic' || has(self.podSelector) || has(self.serviceName)",
    "an edge of type `Generic` needs `edge.podSelector` or `edge.serviceName`: without them its"
    " pods cannot be found",
    lambda edge: edge.type != EdgeType.GENERIC or bool(edge.pod_selector or edge.service_name),
    reason="FieldValueRequired",
)
_CLASS_NEEDS_TRAEFIK = Rule(
    "self.type == 'Traefik' || !has(self.ingressClassName)",
    "`edge.ingressClassName` means something for `edge.type: Traefik` only: leave it out",
    lambda edge: edge.type == EdgeType.TRAEFIK or edge.ingress_class_name is None,
    field_path=".ingressClassName",
    reason="FieldValueForbidden",
)
_TRANSPORT_NEEDS_TRAEFIK = Rule(
    "self.type == 'Traefik' || self.proxyProtocol.field != 'ServersTransport'",
    "`edge.proxyProtocol.field: ServersTransport` means something for `edge.type: Traefik` only:"
    " leave it out",
    lambda edge: (
        edge.type == EdgeType.TRAEFIK
        or edge.proxy_protocol.field != ProxyProtocolField.SERVERS_TRANSPORT
    ),
    field_path=".proxyProtocol",
    reason="FieldValueForbidden",
)
_EDGE_RULES = (_GENERIC_FINDS_PODS, _CLASS_NEEDS_TRAEFIK, _TRANSPORT_NEEDS_TRAEFIK)

DEFAULT_SERVICE_NAME = "traefik"


class EdgeSpec(ApiModel):
    """The proxy that clients connect to, and how it is found in the cluster."""

    model_config = ApiModel.model_config | {"json_schema_extra": schema_rules(*_EDGE_RULES)}

    type: EdgeType = Field(
        default=EdgeType.TRAEFIK,
        description="`Traefik`: routes are made and entryPoints are looked up. `Generic`: any"
        " other proxy (HAProxy, NGINX, Envoy) that you route by hand to the PROXY Service; trust,"
        " overrides and network policy are made all the same. Left out: `Traefik`.",
    )
    namespace: NamespaceName = Field(
        default="traefik",
        description="Namespace in which the proxy's pods and its Service are. Left out: `traefik`.",
    )
    service_name: ServiceName | None = Field(
        default=None,
        description="The proxy's Service: its selector finds the proxy pods, its ports tell"
        " which entryPoint is behind which public port. Left out: `traefik`, or no Service"
        " at all where `podSelector` is given.",
    )
    pod_selector: PodSelector | None = Field(
        default=None,
        description="Finds the proxy pods by their labels when no Service does (hostPort,"
        " DaemonSet). It wins over the Service's own selector. Every pod that carries these"
        " labels is trusted: whoever may create pods in that namespace can join them. Left out:"
        " the Service's own selector finds them.",
    )
    ingress_class_name: IngressClassName | None = Field(
        default=None,
        description="Class that the routes carry, for a Traefik that serves one class only."
        " Left out: no class.",
    )
    proxy_protocol: ProxyProtocolSpec = Field(
        default=ProxyProtocolSpec(),
        description="Header with which the proxy tells the mail server the client's address. Left"
        " out: version 2, set in the routes.",
    )

    @property
    def resolved_service_name(self) -> str | None:
        """Name of the edge's Service; None where only `podSelector` finds the pods."""
        return self.service_name or (None if self.pod_selector else DEFAULT_SERVICE_NAME)

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in _EDGE_RULES:
            rule.check(self)
        return self
