"""`spec` of a MailProxy: what users write. Descriptions are what `kubectl explain` prints."""

import re
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from mailproxy.api.base import FIELD_PATH, ApiModel, Rule, drop_nulls, schema_rules
from mailproxy.api.networks import TrustedNetwork

_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_NAME = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)"


class PortName(StrEnum):
    """The eight mail services, by their IANA names (RFC 8314: `submissions` is 465)."""

    SMTP = "smtp"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    IMAP = "imap"
    IMAPS = "imaps"
    POP3 = "pop3"
    POP3S = "pop3s"
    SIEVE = "sieve"


IMPLICIT_TLS = frozenset({PortName.SUBMISSIONS, PortName.IMAPS, PortName.POP3S})


class EdgeType(StrEnum):
    TRAEFIK = "Traefik"
    GENERIC = "Generic"


class ProxyProtocolField(StrEnum):
    SERVICE = "Service"
    SERVERS_TRANSPORT = "ServersTransport"


class Sni(StrEnum):
    ANY = "Any"
    HOSTNAME = "Hostname"


class Listeners(StrEnum):
    SEPARATE = "Separate"
    SHARED = "Shared"


class TrustSource(StrEnum):
    PROXY_PODS = "ProxyPods"
    NODE_POD_CIDRS = "NodePodCIDRs"
    NONE = "None"


class Switch(StrEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"


def _matching(pattern: str, message: str) -> Rule:
    regex = re.compile(pattern)
    cel = f"self.matches('^{pattern}$')".replace("\\", "\\\\")
    return Rule(cel, message, lambda text: regex.fullmatch(text) is not None)


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _ruled(*rules: Rule) -> Any:
    """Annotated metadata: the rules in the schema and the same rules in the model."""

    def check(value: Any) -> Any:
        for rule in rules:
            rule.check(value)
        return value

    return AfterValidator(check), Field(json_schema_extra=schema_rules(*rules))


_ENDS_IN_NUMBER = re.compile(r"[.][0-9]+\Z")  # no top-level domain does, but `010.0.0.1`
_HOSTNAME_RULES = _ruled(
    _matching(
        r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+",
        "must be a fully qualified host name in lower case, such as `mail.example.com`, without"
        " a wildcard and without a dot at its end",
    ),
    Rule(
        "!isIP(self) && !self.matches('[.][0-9]+$')",
        "must be a host name, not an address: it is what clients name in TLS",
        lambda text: not _is_address(text) and _ENDS_IN_NUMBER.search(text) is None,
    ),
)
_NAMESPACE_RULES = _ruled(
    _matching(_DNS_LABEL, "must be the name of a namespace: lower-case letters, digits and `-`")
)
_SERVICE_RULES = _ruled(
    _matching(_DNS_LABEL, "must be the name of a Service: lower-case letters, digits and `-`")
)
_INGRESS_CLASS_RULES = _ruled(
    _matching(
        rf"{_DNS_LABEL}(\.{_DNS_LABEL})*",
        "must be the name of an IngressClass: lower-case letters, digits, `-` and `.`",
    )
)
_ENTRY_POINT_RULES = _ruled(
    _matching(
        r"[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?",
        "must be the name of a Traefik entryPoint: letters, digits, `-` and `_`",
    )
)
_LABEL_VALUE_RULES = _ruled(
    _matching(
        rf"{_LABEL_NAME}?",
        "must be a label value: at most 63 letters, digits, `-`, `_` and `.`, beginning and"
        " ending with a letter or digit",
    )
)
_LABEL_KEY = re.compile(rf"({_DNS_LABEL}(\.{_DNS_LABEL})*/)?{_LABEL_NAME}")
_LABEL_KEYS_RULES = _ruled(
    Rule(
        f"self.all(key, key.size() <= 127 && key.matches('^{_LABEL_KEY.pattern}$'))".replace(
            "\\", "\\\\"
        ),
        "must have label keys such as `app.kubernetes.io/name`, at most 127 characters each and at"
        " most 63 behind the `/`",
        lambda labels: all(len(k) <= 127 and _LABEL_KEY.fullmatch(k) for k in labels),
    )
)

LabelValue = Annotated[str, Field(max_length=63), *_LABEL_VALUE_RULES]


class PodSelector(ApiModel):
    """Pods by their labels; all of them must match."""

    match_labels: Annotated[
        dict[str, LabelValue],
        Field(
            min_length=1,
            max_length=8,
            description="Labels that a pod must carry, all of them, with these values. At least"
            " one: an empty selector would mean every pod of the namespace.",
        ),
        BeforeValidator(drop_nulls),
        *_LABEL_KEYS_RULES,
    ]


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
    namespace: Annotated[str, Field(min_length=1, max_length=63), *_NAMESPACE_RULES] = Field(
        default="traefik",
        description="Namespace in which the proxy's pods and its Service are. Left out: `traefik`.",
    )
    service_name: Annotated[str, Field(min_length=1, max_length=63), *_SERVICE_RULES] | None = (
        Field(
            default=None,
            description="The proxy's Service: its selector finds the proxy pods, its ports tell"
            " which entryPoint is behind which public port. Left out: `traefik`, or no Service"
            " at all where `podSelector` is given.",
        )
    )
    pod_selector: PodSelector | None = Field(
        default=None,
        description="Finds the proxy pods by their labels when no Service does (hostPort,"
        " DaemonSet). It wins over the Service's own selector. Every pod that carries these"
        " labels is trusted: whoever may create pods in that namespace can join them. Left out:"
        " the Service's own selector finds them.",
    )
    ingress_class_name: (
        Annotated[str, Field(min_length=1, max_length=253), *_INGRESS_CLASS_RULES] | None
    ) = Field(
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


_SNI_NEEDS_IMPLICIT_TLS = Rule(
    "!has(self.sni) || self.sni == 'Any' || self.name in ['submissions', 'imaps', 'pop3s']",
    "`sni: Hostname` works only where TLS comes first: `submissions`, `imaps`, `pop3s`; on the"
    " other ports the server speaks before the client can name a host",
    lambda port: port.sni != Sni.HOSTNAME or port.name in IMPLICIT_TLS,
    field_path=".sni",
)


class PortSpec(ApiModel):
    """One mail service that clients reach through the edge."""

    model_config = ApiModel.model_config | {
        "json_schema_extra": schema_rules(_SNI_NEEDS_IMPLICIT_TLS)
    }

    name: PortName = Field(
        description="The mail service: `smtp` (25), `submission` (587, STARTTLS), `submissions`"
        " (465, TLS), `imap` (143), `imaps` (993), `pop3` (110), `pop3s` (995), `sieve` (4190)."
    )
    entry_point: Annotated[str, Field(min_length=1, max_length=63), *_ENTRY_POINT_RULES] | None = (
        Field(
            default=None,
            description="Traefik entryPoint that serves this port. Left out: the one behind the"
            " Service's port of that number, else the one called `mail-<name>`.",
        )
    )
    sni: Sni | None = Field(
        default=None,
        description="`Hostname`: only TLS connections that name `spec.hostname` are routed, so"
        " several mail servers share the entryPoint; for implicit TLS only. `Any`: every"
        " connection is. Left out: `Any`.",
    )

    @property
    def by_hostname(self) -> bool:
        """Whether only connections that name the host are routed."""
        return self.sni == Sni.HOSTNAME

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        _SNI_NEEDS_IMPLICIT_TLS.check(self)
        return self


DEFAULT_PORTS = (
    PortName.SMTP,
    PortName.SUBMISSION,
    PortName.SUBMISSIONS,
    PortName.IMAP,
    PortName.IMAPS,
)


class MailServerSpec(ApiModel):
    """The mail server behind the edge."""

    pod_selector: PodSelector = Field(
        description="Finds the mail server's pods, in the MailProxy's own namespace."
    )


_TRUST_NEEDS_SOURCE = Rule(
    "self.from != 'None' || (has(self.networks) && self.networks.size() > 0)",
    "`trust.networks` must name at least one network when `trust.from` is `None`: with nobody"
    " trusted Dovecot refuses every client of the edge",
    lambda trust: trust.source != TrustSource.NONE or bool(trust.networks),
    field_path=".networks",
    reason="FieldValueRequired",
)


class TrustSpec(ApiModel):
    """Whose PROXY protocol header Dovecot believes."""

    model_config = ApiModel.model_config | {"json_schema_extra": schema_rules(_TRUST_NEEDS_SOURCE)}

    source: TrustSource = Field(
        default=TrustSource.PROXY_PODS,
        alias="from",
        description="`ProxyPods`: the live addresses of the proxy pods, nothing wider; followed"
        " as pods come and go, and empty when there is none. `NodePodCIDRs`: the pod networks of"
        " the nodes that run them, for networks that rewrite pod addresses; every pod on those"
        " nodes can then claim any client address. `None`: only `networks`. Left out:"
        " `ProxyPods`.",
    )
    networks: list[TrustedNetwork] = Field(
        default=[],
        max_length=64,
        description="Further networks in CIDR notation that are trusted and admitted, such as a"
        " second load balancer's. Whoever sends from one can claim any client address and so"
        " pass every check that looks at it: name single hosts where you can. At most 64, none"
        " wider than /8 (IPv4) or /32 (IPv6). Left out: none.",
    )

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        _TRUST_NEEDS_SOURCE.check(self)
        return self


_DISTINCT_ENTRY_POINTS = Rule(
    "self.all(p, !has(p.entryPoint) || self.filter(q, has(q.entryPoint) &&"
    " q.entryPoint == p.entryPoint).size() == 1)",
    "two ports must not name the same `entryPoint`: Traefik could not tell them apart",
    lambda ports: _is_distinct([port.entry_point for port in ports if port.entry_point]),
)
_PORTS_RULES = _ruled(_DISTINCT_ENTRY_POINTS)


def _is_distinct(values: list[Any]) -> bool:
    return len(values) == len(set(values))


def _check_names(ports: list[PortSpec]) -> list[PortSpec]:
    """Say in the model what the schema says with `x-kubernetes-list-type: map`."""
    seen: set[PortName] = set()
    for index, port in enumerate(ports):
        if port.name in seen:
            context = {FIELD_PATH: f"[{index}]"}
            raise PydanticCustomError("duplicate", "must name each mail service once", context)
        seen.add(port.name)
    return ports


_ROUTES_NEED_TRAEFIK = Rule(
    "self.edge.type == 'Traefik' || !has(self.ports) ||"
    " self.ports.all(p, !has(p.entryPoint) && !has(p.sni))",
    "`ports[].entryPoint` and `ports[].sni` mean something for `edge.type: Traefik` only: leave"
    " them out and route in your proxy's own configuration",
    lambda spec: (
        spec.edge.type == EdgeType.TRAEFIK
        or not any(port.entry_point or port.sni for port in spec.ports)
    ),
    field_path=".ports",
    reason="FieldValueForbidden",
)


class MailProxySpec(ApiModel):
    """What the edge in front of a mail server has to do."""

    model_config = ApiModel.model_config | {"json_schema_extra": schema_rules(_ROUTES_NEED_TRAEFIK)}

    hostname: Annotated[str, Field(min_length=1, max_length=253), *_HOSTNAME_RULES] = Field(
        description="Name that mail clients connect to, fully qualified and in lower case; used"
        " in the routes of ports with `sni: Hostname`."
    )
    suspend: bool = Field(
        default=False,
        strict=True,
        description="`true` leaves everything as it is: nothing is written, and the trusted"
        " networks no longer follow the proxy pods. Left out: `false`.",
    )
    edge: EdgeSpec = Field(
        default=EdgeSpec(),
        description="The proxy in front. Left out: the Service `traefik` in the namespace"
        " `traefik`, as Traefik's Helm chart makes it.",
    )
    ports: Annotated[
        list[PortSpec],
        Field(
            min_length=1,
            max_length=8,
            description="Mail services that clients reach through the edge. Left out: smtp,"
            " submission, submissions, imap and imaps.",
        ),
        AfterValidator(_check_names),
        *_PORTS_RULES,
    ] = Field(default=[PortSpec(name=name) for name in DEFAULT_PORTS])
    listeners: Listeners = Field(
        default=Listeners.SEPARATE,
        description="`Separate`: the mail server listens for the edge on ports of their own"
        " (12525, 10587, 10465, 10143, 10993, 10110, 10995, 14190) and clients inside the cluster"
        " keep the normal ones. `Shared`: the normal ports expect the PROXY protocol, and every"
        " client without a header is refused. Takes effect when the mail server restarts. Left"
        " out: `Separate`.",
    )
    mail_server: MailServerSpec = Field(description="The mail server behind the edge.")
    trust: TrustSpec = Field(
        default=TrustSpec(),
        description="Whose PROXY protocol header Dovecot believes. Postfix has no such list and"
        " believes anyone who reaches its PROXY ports: `networkPolicy` guards those. Left out:"
        " the live addresses of the proxy pods.",
    )
    network_policy: Switch = Field(
        default=Switch.ENABLED,
        description="`Enabled` admits only the edge's pods and `trust.networks` to the PROXY"
        " ports and leaves every other port as it was, provided that the cluster's network"
        " enforces policies. `Disabled`: any pod can reach them and forge a client address"
        " towards Postfix. Left out: `Enabled`.",
    )

    @cached_property
    def ports_by_name(self) -> dict[PortName, PortSpec]:
        """The ports in the order of the mail services' table, so that order never matters."""
        named = {port.name: port for port in self.ports}
        return {name: named[name] for name in PortName if name in named}

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        _ROUTES_NEED_TRAEFIK.check(self)
        return self
