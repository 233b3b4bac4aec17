"""`spec` of a MailProxy: what users write. Descriptions are what `kubectl explain` prints."""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from mailproxy.api.base import FIELD_PATH, ApiModel, Rule, schema_rules
from mailproxy.api.edge import EdgeSpec, EdgeType
from mailproxy.api.mail_server import InternalClientSpec, MailServerSpec
from mailproxy.api.mail_services import DEFAULT_PORTS, IMPLICIT_TLS, Listeners, PortName
from mailproxy.api.names import EntryPointName, Hostname, ruled
from mailproxy.api.networks import TrustedNetwork


class Sni(StrEnum):
    ANY = "Any"
    HOSTNAME = "Hostname"


class TrustSource(StrEnum):
    PROXY_PODS = "ProxyPods"
    NODE_POD_CIDRS = "NodePodCIDRs"
    NONE = "None"


class Switch(StrEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"


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
    entry_point: EntryPointName | None = Field(
        default=None,
        description="Traefik entryPoint that serves this port. Left out: the one behind the"
        " Service's port of that number, else the one called `mail-<name>` or `<name>`.",
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
_PORTS_RULES = ruled(_DISTINCT_ENTRY_POINTS)
Named = TypeVar("Named", PortSpec, InternalClientSpec)


def _is_distinct(values: list[Any]) -> bool:
    return len(values) == len(set(values))


def _check_names(items: list[Named]) -> list[Named]:
    """Say in the model what the schema says with `x-kubernetes-list-type: map`."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.name in seen:
            context = {FIELD_PATH: f"[{index}]"}
            raise PydanticCustomError("duplicate", "must have each `name` once", context)
        seen.add(item.name)
    return items


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

    hostname: Hostname = Field(
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
    internal_clients: Annotated[
        list[InternalClientSpec],
        Field(
            max_length=16,
            description="Pods inside the cluster that use the mail server's normal ports for many"
            " users, such as a webmail: Fail2ban never bans their live addresses, so that one"
            " user's mistakes do not lock out all. Left out: none.",
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
        AfterValidator(_check_names),
    ] = Field(default=[])
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

    probe: Switch = Field(
        default=Switch.ENABLED,
        description="`Enabled`: the operator connects through each proxy pod to see whether the"
        " mail server believes it, and says so in `status.proxies`; it never logs in. `Disabled`:"
        " it does not. Left out: `Enabled`.",
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
