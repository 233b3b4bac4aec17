"""`spec` of a MailProxy: what users write. Descriptions are what `kubectl explain` prints."""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from mailproxy.api.base import FIELD_PATH, ApiModel, Rule, schema_rules
from mailproxy.api.edge import EdgeSpec
from mailproxy.api.edge.types import EDGE_TYPES, find_row
from mailproxy.api.mail_server import InternalClientSpec, MailServerSpec
from mailproxy.api.mail_services import (
    DEFAULT_PORTS,
    IMPLICIT_TLS,
    MAIL_SERVICES,
    PROXY_PORTS,
    Listeners,
    PortName,
)
from mailproxy.api.names import EntryPointName, Hostname, ruled
from mailproxy.api.networks import TrustedNetwork


def _list(words: tuple[str, ...]) -> str:
    """Words of an English list: `a, b and c`."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


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
    f"!has(self.sni) || self.sni == 'Any' || self.name in {list(IMPLICIT_TLS)}",
    "`sni: Hostname` requires implicit TLS:"
    f" {', '.join(f'`{name}`' for name in IMPLICIT_TLS)}; on the other ports the server speaks"
    " before the client can name a host",
    lambda port: port.sni != Sni.HOSTNAME or port.name in IMPLICIT_TLS,
    field_path=".sni",
)


class PortSpec(ApiModel):
    """One mail service that clients reach through the edge."""

    model_config = ApiModel.model_config | {
        "json_schema_extra": schema_rules(_SNI_NEEDS_IMPLICIT_TLS)
    }

    name: PortName = Field(
        description=f"Mail service: {_list(tuple(map(str, MAIL_SERVICES)))}. TLS means implicit"
        " TLS; the others offer STARTTLS."
    )
    entry_point: EntryPointName | None = Field(
        default=None,
        description="Traefik entryPoint that serves this port. Defaults to the one behind the"
        " Service port of that number, else the one called `mail-<name>` or `<name>`.",
    )
    sni: Sni | None = Field(
        default=None,
        description="`Hostname` routes only TLS connections that name `spec.hostname`, so that"
        " several mail servers share the entryPoint; it requires implicit TLS. `Any` routes every"
        " connection. Defaults to `Any`.",
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


def _check_set(items: Any) -> Any:
    """Say in the model what the schema says with `x-kubernetes-list-type: set`, of raw texts."""
    seen: set[str] = set()
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, str):
            continue  # of the wrong type, which is said elsewhere
        if item in seen:
            context = {FIELD_PATH: f"[{index}]"}
            raise PydanticCustomError("duplicate", "must have each network once", context)
        seen.add(item)
    return items


class TrustSpec(ApiModel):
    """Sources from which Dovecot accepts a PROXY protocol header."""

    model_config = ApiModel.model_config | {"json_schema_extra": schema_rules(_TRUST_NEEDS_SOURCE)}

    source: TrustSource = Field(
        default=TrustSource.PROXY_PODS,
        alias="from",
        description="`ProxyPods`: the live addresses of the proxy pods, added before they serve,"
        " removed when they go, and empty when there is none. `NodePodCIDRs`: the pod networks of"
        " the nodes that run them, for networks that rewrite pod addresses; every pod on those"
        " nodes can then claim any client address. `None`: only `networks`. Defaults to"
        " `ProxyPods`.",
    )
    networks: Annotated[
        list[TrustedNetwork],
        Field(
            max_length=64,
            description="Further trusted networks in CIDR notation, which the NetworkPolicy admits"
            " too, such as a second load balancer's. Whoever sends from one can claim any client"
            " address and so pass every check that looks at it: name single hosts where you can."
            " At most 64, none wider than /8 (IPv4) or /32 (IPv6). Defaults to none.",
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
        BeforeValidator(_check_set),
    ] = Field(default=[])

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


_ROUTED = tuple(row.name for row in EDGE_TYPES if row.has_routes)
_ONLY_ROUTED_PORTS = Rule(
    f"self.edge.type in {list(_ROUTED)} || !has(self.ports) ||"
    " self.ports.all(p, !has(p.entryPoint) && !has(p.sni))",
    "`ports[].entryPoint` and `ports[].sni` may only be set when `edge.type` is"
    f" {' or '.join(f'`{name}`' for name in _ROUTED)}: any other proxy is routed by its own"
    " configuration",
    lambda spec: (
        find_row(spec.edge.type).has_routes
        or not any(port.entry_point or port.sni for port in spec.ports)
    ),
    field_path=".ports",
    reason="FieldValueForbidden",
)


class MailProxySpec(ApiModel):
    """Desired state of a MailProxy."""

    model_config = ApiModel.model_config | {"json_schema_extra": schema_rules(_ONLY_ROUTED_PORTS)}

    hostname: Hostname = Field(
        description="Name that mail clients connect to, fully qualified and in lower case; used"
        " in the routes of ports with `sni: Hostname`."
    )
    suspend: bool = Field(
        default=False,
        strict=True,
        description="`true` leaves everything as it is: nothing is written, and the trusted"
        " networks no longer follow the proxy pods. Defaults to `false`.",
    )
    edge: EdgeSpec = Field(
        default=EdgeSpec(),
        description="The proxy in front. Defaults to the Service `traefik` in the namespace"
        " `traefik`, as Traefik's Helm chart creates it.",
    )
    ports: Annotated[
        list[PortSpec],
        Field(
            min_length=1,
            max_length=len(MAIL_SERVICES),
            description="Mail services that clients reach through the edge. Defaults to"
            f" {_list(DEFAULT_PORTS)}.",
        ),
        AfterValidator(_check_names),
        *_PORTS_RULES,
    ] = Field(default=[PortSpec(name=PortName(name)) for name in DEFAULT_PORTS])
    listeners: Listeners = Field(
        default=Listeners.SEPARATE,
        description="`Separate`: the mail server listens for the edge on ports of their own"
        f" ({', '.join(map(str, PROXY_PORTS))}), and clients inside the cluster keep the normal"
        " ones. `Shared`: the normal ports expect the PROXY protocol, and every client without a"
        " header is refused. Takes effect when the mail server restarts. Defaults to `Separate`.",
    )
    mail_server: MailServerSpec = Field(description="The mail server behind the edge.")
    internal_clients: Annotated[
        list[InternalClientSpec],
        Field(
            max_length=16,
            description="Pods inside the cluster that use the mail server's normal ports for many"
            " users, such as a webmail. Fail2ban never bans their live addresses, so that one"
            " user's mistakes do not lock out all. Defaults to none.",
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
        AfterValidator(_check_names),
    ] = Field(default=[])
    trust: TrustSpec = Field(
        default=TrustSpec(),
        description="Sources from which Dovecot accepts a PROXY protocol header. Postfix has no"
        " such list and accepts one from anyone who reaches its PROXY ports: `networkPolicy` guards"
        " those. Defaults to the live addresses of the proxy pods.",
    )
    network_policy: Switch = Field(
        default=Switch.ENABLED,
        description="`Enabled` admits only the edge's pods and `trust.networks` to the PROXY"
        " ports and leaves every other port as it was, provided that the cluster's network"
        " enforces policies. `Disabled`: any pod can reach them and forge a client address"
        " towards Postfix. Defaults to `Enabled`.",
    )
    probe: Switch = Field(
        default=Switch.ENABLED,
        description="`Enabled`: the operator connects through each proxy pod to see whether the"
        " mail server accepts its header, and reports it in `status.proxies`; it never logs in."
        " `Disabled`: it does not. Defaults to `Enabled`.",
    )

    @cached_property
    def ports_by_name(self) -> dict[str, PortSpec]:
        """The ports in the order of the mail services' table, so that order never matters."""
        named = {port.name: port for port in self.ports}
        return {name: named[name] for name in PortName if name in named}

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        _ONLY_ROUTED_PORTS.check(self)
        return self
