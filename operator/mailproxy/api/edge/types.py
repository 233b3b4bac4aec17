"""The edge types: a row a type, with the model of the fields that only this type has."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic.alias_generators import to_snake

from mailproxy.api.base import ApiModel
from mailproxy.api.edge.traefik import TraefikSpec


@dataclass(frozen=True)
class EdgeTypeRow:
    """One value of `spec.edge.type`.

    `summary` is for `kubectl explain`. `fields` is the model of the union's member, None if the
    type has no fields of its own. `default_service_name` finds the proxy's Service unless the user
    names it or its pods; None if there is no usual name. `has_routes` is whether the operator
    creates routes, so that `ports[].entryPoint` and `ports[].sni` mean something.
    """

    name: str
    summary: str
    fields: type[ApiModel] | None = None
    default_service_name: str | None = None
    has_routes: bool = False

    @property
    def member(self) -> str:
        """Name of the union's member in Python: `EnvoyGateway` has `envoy_gateway`."""
        return to_snake(self.name)


EDGE_TYPES = (
    EdgeTypeRow(
        "Traefik",
        "the operator looks up entryPoints and creates routes",
        fields=TraefikSpec,
        default_service_name="traefik",
        has_routes=True,
    ),
    EdgeTypeRow(
        "Generic",
        "any other proxy (HAProxy, NGINX, Envoy) that you configure to send to the PROXY Service;"
        " everything but routes is managed all the same",
    ),
)


class EdgeType(StrEnum):
    """Values of `spec.edge.type`, which selects the member of the union."""

    _ignore_ = ["row"]  # noqa: RUF012  an Enum's own setting
    for row in EDGE_TYPES:
        vars()[to_snake(row.name).upper()] = row.name


def find_row(name: str) -> EdgeTypeRow:
    """The row of an edge type."""
    return next(row for row in EDGE_TYPES if row.name == name)
