"""`status` of a MailProxy: what was observed, in conditions that follow the data path."""

from typing import Annotated

from pydantic import Field

from mailproxy.api.base import ApiModel
from mailproxy.api.conditions import Condition, ConditionType
from mailproxy.api.mail_services import MAIL_SERVICES

MAX_PODS = 10_000  # about as many as fit into one object

# Dovecot 2.3 hands the whole list to its programs in one environment variable of at most 128 KiB,
# into which so many of the longest networks fit.
MAX_TRUSTED_NETWORKS = 2_000
MAX_VERSION_LENGTH = 1024
Name = Annotated[str, Field(max_length=253)]
Address = Annotated[str, Field(max_length=64)]


class ProxyStatus(ApiModel):
    """One pod of the edge."""

    pod: Name = Field(description="Name of the proxy pod.")
    node: Name = Field(description="Node of the pod; empty until it is scheduled.")
    addresses: list[Address] = Field(
        max_length=16, description="Addresses of the pod, from its `status.podIPs`."
    )
    phase: Name = Field(description="The pod's phase.")
    header_accepted: bool | None = Field(
        default=None,
        description="Whether the mail server accepted this pod's PROXY header when the operator"
        " last connected through the pod; absent while that is not known.",
    )


class PortStatus(ApiModel):
    """Path of one mail service from the public port to the mail server."""

    name: Name = Field(description="Name of the mail service.")
    entry_point: str | None = Field(
        default=None,
        max_length=1024,
        description="entryPoint of the edge that serves it; absent for edges without routes.",
    )
    exposed_port: int | None = Field(
        default=None,
        description="Port on which the edge offers that entryPoint; absent if none was found.",
    )
    target_port: int = Field(description="Port of the mail server that expects the PROXY header.")
    route: Name | None = Field(
        default=None, description="Name of the route; absent while there is none."
    )
    ready: bool = Field(description="Whether entryPoint and route both exist.")


class MailProxyStatus(ApiModel):
    """Observed state of the MailProxy; written only when it changed."""

    observed_generation: int = Field(
        description="`metadata.generation` of the spec that was observed.",
        json_schema_extra={"format": "int64"},
    )
    conditions: list[Condition] = Field(
        max_length=len(ConditionType),
        description="Conditions, in the order of the data path; `Ready` repeats the first that"
        " fails.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    edge: str = Field(
        max_length=2048,
        description="The edge as `namespace/service`, or as `namespace/label=value,...` if labels"
        " select its pods.",
    )
    edge_version: str | None = Field(
        default=None,
        max_length=MAX_VERSION_LENGTH,
        description="Versions that the proxy pods run, comma-separated; absent if unknown.",
    )
    proxies: list[ProxyStatus] = Field(
        max_length=MAX_PODS, description="The live pods of the edge."
    )
    ports: list[PortStatus] = Field(
        max_length=len(MAIL_SERVICES), description="The mail services, in the order of the table."
    )
    ports_summary: str = Field(
        max_length=16, description="Ports that are ready, out of those in the spec: `4/5`."
    )
    trusted_networks: list[Address] = Field(
        max_length=MAX_TRUSTED_NETWORKS,
        description="Networks in the `-trust` ConfigMap, from which Dovecot accepts PROXY headers.",
    )
    trusted_count: int = Field(description="Number of trusted networks.")
    overrides_hash: str | None = Field(
        default=None, max_length=64, description="Hash of the files in the `-overrides` ConfigMap."
    )
    trust_hash: str | None = Field(
        default=None, max_length=64, description="Hash of the file in the `-trust` ConfigMap."
    )
