"""`status` of a MailProxy: what the operator found, in conditions that follow the data path."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mailproxy.api.base import ApiModel

MAX_PODS = 10_000  # about as many as fit into one object
# Dovecot 2.3 hands the whole list to its programs in one environment variable of at most 128 KiB,
# into which so many of the longest networks fit.
MAX_TRUSTED_NETWORKS = 2_000
MAX_VERSION_LENGTH = 1024

Name = Annotated[str, Field(max_length=253)]
Address = Annotated[str, Field(max_length=64)]


class ConditionType(StrEnum):
    """Condition types in the order of the data path; `Ready` sums up those before it."""

    ACCEPTED = "Accepted"
    EDGE_DISCOVERED = "EdgeDiscovered"
    ENTRY_POINTS_READY = "EntryPointsReady"
    ROUTES_READY = "RoutesReady"
    TRUST_READY = "TrustReady"
    MAIL_SERVER_READY = "MailServerReady"
    READY = "Ready"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a condition has its status. The comment says with which status, and who can help."""

    # Accepted
    ACCEPTED = "Accepted"  # True
    INVALID = "Invalid"  # False: mend the field that the message names
    CONFLICT = "Conflict"  # False: an older MailProxy has the entryPoint or the pods; change one
    OVERRIDES_NOT_FOUND = "OverridesNotFound"  # False: make the ConfigMap of your own files
    OVERRIDES_INVALID = "OverridesInvalid"  # False: mend the line of your file in the message
    SUSPENDED = "Suspended"  # True, but nothing follows: set spec.suspend to false
    # EdgeDiscovered
    DISCOVERED = "Discovered"  # True
    SERVICE_NOT_FOUND = "ServiceNotFound"  # False: name the edge's Service or its pods' labels
    NO_SELECTOR = "NoSelector"  # False: the edge's Service selects nothing; give edge.podSelector
    NO_PROXY_PODS = "NoProxyPods"  # False: start the edge, or mend the selector
    TRAEFIK_PROXY_PROTOCOL_BUG = "TraefikProxyProtocolBug"  # False: leave Traefik 3.5.2
    TRAEFIK_TOO_OLD = "TraefikTooOld"  # False: upgrade it, or set the header in the routes
    UNOBSERVABLE = "Unobservable"  # Unknown: the API server refuses to tell; usually RBAC
    # EntryPointsReady
    FOUND = "Found"  # True
    NOT_APPLICABLE = "NotApplicable"  # True: a Generic edge is routed by hand
    ENTRY_POINT_MISSING = "EntryPointMissing"  # False: add the entryPoint to the edge
    UNKNOWN = "Unknown"  # Unknown: the edge's configuration cannot be read; name the entryPoints
    # RoutesReady
    APPLIED = "Applied"  # True
    CRD_MISSING = "CRDMissing"  # False: install Traefik's CRDs
    CRD_OUTDATED = "CRDOutdated"  # False: upgrade Traefik's CRDs
    NOT_OWNED = "NotOwned"  # False: rename or delete the object that has our child's name
    REFUSED = "Refused"  # False: the API server refuses a child; the message says why
    NO_ENDPOINTS = "NoEndpoints"  # False: no mail server pod is ready
    WAITING_FOR_EDGE = "WaitingForEdge"  # False: routes are made once the edge is known
    # TrustReady
    UP_TO_DATE = "UpToDate"  # True
    HOST_NETWORK = "HostNetwork"  # True, advisory: every process on those nodes is trusted
    WIDE_NETWORK = "WideNetwork"  # True, advisory: trust covers more than the proxy pods
    NO_NODE_ADDRESSES = "NoNodeAddresses"  # False: a node has no address or pod CIDR to trust
    TOO_MANY_ADDRESSES = "TooManyAddresses"  # False: more addresses than Dovecot can read
    # MailServerReady
    MOUNTED = "Mounted"  # True
    PERMIT_DOCKER = "PermitDocker"  # True, advisory: pods may relay by their address on port 25
    POKE_NOT_ALLOWED = "PokeNotAllowed"  # True, advisory: trust reaches the server a minute late
    NO_MAIL_SERVER_PODS = "NoMailServerPods"  # Unknown: start the mail server, or mend the selector
    OVERRIDES_NOT_MOUNTED = "OverridesNotMounted"  # False: add the mounts in the message
    RESTART_PENDING = "RestartPending"  # False: restart the mail server
    RELOAD_PENDING = "ReloadPending"  # False: a proxy pod is not believed; the message says why
    IPV6_DISABLED = "IPv6Disabled"  # False: set POSTFIX_INET_PROTOCOLS to all
    PLAIN_CLIENTS_REJECTED = "PlainClientsRejected"  # False: listeners Separate, or no such clients
    WIRING_NOT_ALLOWED = "WiringNotAllowed"  # False: annotate the workload, or grant the right
    WORKLOAD_NOT_FOUND = "WorkloadNotFound"  # False: mend spec.mailServer.workloadRef
    # Ready
    READY = "Ready"  # True
    # any: its turn has not come yet
    PENDING = "Pending"  # Unknown: wait, the message says for what


class Condition(ApiModel):
    """One condition, as in the Kubernetes API conventions (`metav1.Condition`)."""

    type: ConditionType = Field(description="What is judged.")
    status: ConditionStatus = Field(description="`True`, `False` or `Unknown`.")
    reason: str = Field(max_length=64, description="Why, in one word for programs.")
    message: str = Field(max_length=32768, description="Why, and what to do about it.")
    observed_generation: int = Field(
        description="`metadata.generation` of the spec that was judged.",
        json_schema_extra={"format": "int64"},
    )
    last_transition_time: str = Field(
        max_length=64,
        description="When `status` last changed.",
        json_schema_extra={"format": "date-time"},
    )


class ProxyStatus(ApiModel):
    """One pod of the edge."""

    pod: Name = Field(description="Name of the proxy pod.")
    node: Name = Field(description="Node that it runs on; empty while it is not scheduled.")
    addresses: list[Address] = Field(
        max_length=16, description="Its addresses, as `status.podIPs` tells them."
    )
    phase: Name = Field(description="The pod's phase.")
    believed: bool | None = Field(
        default=None,
        description="Whether the mail server answered through this very pod when the operator last"
        " connected, so believes its PROXY header; absent while that is not known.",
    )


class PortStatus(ApiModel):
    """How one mail service goes from the public port to the mail server."""

    name: Name = Field(description="Name of the mail service.")
    entry_point: str | None = Field(
        default=None,
        max_length=1024,
        description="Traefik entryPoint that serves it; absent for `Generic` edges.",
    )
    exposed_port: int | None = Field(
        default=None,
        description="Port on which the edge offers that entryPoint; absent when none was found.",
    )
    target_port: int = Field(description="Port of the mail server that expects the PROXY header.")
    route: Name | None = Field(
        default=None, description="Name of the IngressRouteTCP; absent while there is none."
    )
    ready: bool = Field(description="Whether entryPoint and route are both there.")


class MailProxyStatus(ApiModel):
    """What the operator found when it last looked; written only when it changed."""

    observed_generation: int = Field(
        description="`metadata.generation` that this status speaks of.",
        json_schema_extra={"format": "int64"},
    )
    conditions: list[Condition] = Field(
        max_length=len(ConditionType),
        description="Judgements in the order of the data path; `Ready` repeats the first that"
        " fails.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    edge: str = Field(
        max_length=2048,
        description="The edge as `namespace/name`, or as `namespace/label=value,...` where labels"
        " find its pods.",
    )
    traefik_version: str | None = Field(
        default=None,
        max_length=MAX_VERSION_LENGTH,
        description="Version of Traefik, or all of them; absent when it cannot be told.",
    )
    proxies: list[ProxyStatus] = Field(
        max_length=MAX_PODS, description="The live pods of the edge."
    )
    ports: list[PortStatus] = Field(
        max_length=8, description="The mail services, in the order of the table."
    )
    ports_summary: str = Field(
        max_length=16, description="Ports that are ready, of those asked for: `4/5`."
    )
    trusted_networks: list[Address] = Field(
        max_length=MAX_TRUSTED_NETWORKS,
        description="Networks in the `-trust` ConfigMap: whose PROXY header Dovecot believes.",
    )
    trusted_count: int = Field(description="Number of trusted networks.")
    overrides_hash: str | None = Field(
        default=None, max_length=64, description="Hash of the files in the `-overrides` ConfigMap."
    )
    trust_hash: str | None = Field(
        default=None, max_length=64, description="Hash of the file in the `-trust` ConfigMap."
    )
