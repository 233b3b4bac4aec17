"""`spec.edge`: the proxy in front and how it is found."""

import builtins
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, create_model, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticKnownError

from mailproxy.api.base import ApiModel, Rule, schema_rules
from mailproxy.api.edge.types import EDGE_TYPES, EdgeType, EdgeTypeRow, find_row
from mailproxy.api.names import NamespaceName, PodSelector, ServiceName

Fields = TypeVar("Fields", bound=ApiModel)


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # `true` equals 1
        raise PydanticKnownError("int_type")
    return value


class ProxyProtocolSpec(ApiModel):
    """PROXY protocol header with which the edge tells the mail server the client's address."""

    version: Annotated[Literal[1, 2], BeforeValidator(_refuse_boolean)] = Field(
        default=2,
        description="Version of the PROXY protocol header that the edge sends: 2 (binary) or 1"
        " (text). Postfix and Dovecot read both. Defaults to 2.",
    )


_NAMELESS = tuple(row.name for row in EDGE_TYPES if row.default_service_name is None)
_NEEDS_PODS = Rule(
    f"!(self.type in {list(_NAMELESS)}) || has(self.podSelector) || has(self.serviceName)",
    f"an edge of type {' or '.join(f'`{name}`' for name in _NAMELESS)} needs `edge.podSelector` or"
    " `edge.serviceName`: without them its pods cannot be found",
    lambda edge: (
        find_row(edge.type).default_service_name is not None
        or bool(edge.pod_selector or edge.service_name)
    ),
    reason="FieldValueRequired",
)


def _build_member_rule(row: EdgeTypeRow) -> Rule:
    """A member of the union may be set only for its own type."""
    field = to_camel(row.member)
    return Rule(
        f"self.type == '{row.name}' || !has(self.{field})",
        f"`edge.{field}` may only be set when `edge.type` is `{row.name}`",
        lambda edge: edge.type == row.name or getattr(edge, row.member) is None,
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


_EDGE_RULES = (_NEEDS_PODS, *(_build_member_rule(row) for row in EDGE_TYPES if row.fields))


class _CommonEdgeSpec(ApiModel):
    """The proxy that clients connect to, and how it is found in the cluster."""

    model_config = ApiModel.model_config | {"json_schema_extra": schema_rules(*_EDGE_RULES)}

    type: EdgeType = Field(
        default=EdgeType(EDGE_TYPES[0].name),
        description="Kind of proxy. "
        + "; ".join(f"`{row.name}`: {row.summary}" for row in EDGE_TYPES)
        + f". Defaults to `{EDGE_TYPES[0].name}`.",
    )
    namespace: NamespaceName = Field(
        default="traefik",
        description="Namespace of the proxy's pods and its Service. Defaults to `traefik`.",
    )
    service_name: ServiceName | None = Field(
        default=None,
        description="Service of the proxy: its selector finds the proxy pods, and its ports tell"
        " which entryPoint is behind which public port. Defaults to `traefik`, or to no Service if"
        " `podSelector` is set.",
    )
    pod_selector: PodSelector | None = Field(
        default=None,
        description="Labels of the proxy pods, for an edge that no Service selects (hostPort,"
        " DaemonSet). Takes precedence over the Service's selector. Every pod with these labels is"
        " trusted: whoever may create pods in that namespace can join them. Defaults to the"
        " Service's selector.",
    )
    proxy_protocol: ProxyProtocolSpec = Field(
        default=ProxyProtocolSpec(),
        description="Header with which the proxy tells the mail server the client's address."
        " Defaults to version 2.",
    )

    @property
    def resolved_service_name(self) -> str | None:
        """Name of the edge's Service; None where only `podSelector` finds the pods."""
        return self.service_name or (
            None if self.pod_selector else find_row(self.type).default_service_name
        )

    def fields(self, model: "builtins.type[Fields]") -> Fields:
        """The union's member of that model, or its defaults if it is not set."""
        member = next(row.member for row in EDGE_TYPES if row.fields is model)
        return getattr(self, member) or model()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in _EDGE_RULES:
            rule.check(self)
        return self


def _build_member(row: EdgeTypeRow, fields: builtins.type[ApiModel]) -> Any:
    description = f"Settings of an edge of type `{row.name}`. Defaults to the default of each."
    return fields | None, Field(default=None, description=description)


class EdgeSpec(
    create_model(  # type: ignore[misc]  # the members are known from the table alone
        "EdgeSpec",
        __base__=_CommonEdgeSpec,
        **{row.member: _build_member(row, row.fields) for row in EDGE_TYPES if row.fields},
    )
):
    __doc__ = _CommonEdgeSpec.__doc__
