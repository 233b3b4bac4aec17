"""The table of reasons: why a condition has its status. A row a reason.

`docs/troubleshooting.md` has a section for each row, which a test compares with this table.
"""

from enum import StrEnum
from functools import partial
from typing import NamedTuple, Self

from mailproxy.api.conditions import ConditionStatus, ConditionType


class Row(NamedTuple):
    """One reason.

    `conditions` are those that can have it, beside `Ready`, which repeats the reason that decides
    it. `meaning` is one sentence. An `advisory` reason has status True and something that the user
    should know. `ready` is the status of `Ready`, if that differs from `status`.
    """

    value: str
    conditions: ConditionType | tuple[ConditionType, ...]
    meaning: str
    status: ConditionStatus
    advisory: bool = False
    ready: ConditionStatus | None = None


_good = partial(Row, status=ConditionStatus.TRUE)
_advice = partial(Row, status=ConditionStatus.TRUE, advisory=True)
_bad = partial(Row, status=ConditionStatus.FALSE)
_open = partial(Row, status=ConditionStatus.UNKNOWN)

_C = ConditionType
_OWNERS_OF_OBJECTS = (_C.ROUTES_READY, _C.TRUST_READY, _C.PORTS_ISOLATED, _C.MAIL_SERVER_READY)


class Reason(StrEnum):
    """Reason of a condition, with the fields of its `Row`."""

    conditions: tuple[ConditionType, ...]
    meaning: str
    status: ConditionStatus
    advisory: bool
    ready: ConditionStatus

    def __new__(
        cls,
        value: str,
        conditions: ConditionType | tuple[ConditionType, ...],
        meaning: str,
        status: ConditionStatus,
        advisory: bool,
        ready: ConditionStatus | None,
    ) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.conditions = (conditions,) if isinstance(conditions, ConditionType) else conditions
        member.meaning = meaning
        member.status = status
        member.advisory = advisory
        member.ready = ready or status
        return member

    @property
    def anchor(self) -> str:
        """Where `docs/` explains it."""
        return f"troubleshooting.md#{self.lower()}"

    # Accepted
    ACCEPTED = _good(
        "Accepted", _C.ACCEPTED, "The spec is valid and conflicts with no older MailProxy."
    )
    INVALID = _bad(
        "Invalid", _C.ACCEPTED, "A field of the spec is invalid, and nothing was changed."
    )
    CONFLICT = _bad(
        "Conflict",
        _C.ACCEPTED,
        "An older MailProxy has the entryPoint, the port or the mail server's pods.",
    )
    OVERRIDES_NOT_FOUND = _bad(
        "OverridesNotFound",
        _C.ACCEPTED,
        "The ConfigMap in spec.mailServer.overridesFrom does not exist.",
    )
    OVERRIDES_INVALID = _bad(
        "OverridesInvalid",
        _C.ACCEPTED,
        "A line of your own files would defeat mailproxy's settings or be lost.",
    )
    SUSPENDED = _good(
        "Suspended",
        _C.ACCEPTED,
        "spec.suspend is true, so nothing is written and trust does not follow the edge.",
        ready=ConditionStatus.UNKNOWN,
    )

    # EdgeDiscovered
    DISCOVERED = _good("Discovered", _C.EDGE_DISCOVERED, "The edge has live proxy pods.")
    SERVICE_NOT_FOUND = _bad(
        "ServiceNotFound", _C.EDGE_DISCOVERED, "The edge's Service does not exist."
    )
    NO_SELECTOR = _bad(
        "NoSelector",
        _C.EDGE_DISCOVERED,
        "The edge's Service has no selector, so it does not tell which pods are the proxy's.",
    )
    NO_PROXY_PODS = _bad(
        "NoProxyPods",
        (_C.EDGE_DISCOVERED, _C.TRUST_READY),
        "The edge has no live pod, so nobody is trusted.",
    )
    TRAEFIK_PROXY_PROTOCOL_BUG = _bad(
        "TraefikProxyProtocolBug",
        _C.EDGE_DISCOVERED,
        "This version of Traefik sends its own address in the PROXY header.",
    )
    TRAEFIK_TOO_OLD = _bad(
        "TraefikTooOld",
        _C.EDGE_DISCOVERED,
        "This version of Traefik sends no PROXY header the way the spec asks for.",
    )
    UNOBSERVABLE = _open(
        "Unobservable",
        _C.EDGE_DISCOVERED,
        "The API server does not let the operator read what it needs.",
    )

    # EntryPointsReady
    FOUND = _good("Found", _C.ENTRY_POINTS_READY, "Every port has an entryPoint.")
    NOT_APPLICABLE = _good(
        "NotApplicable",
        _C.ENTRY_POINTS_READY,
        "An edge of this type is routed by its own configuration.",
    )
    ENTRY_POINT_MISSING = _bad(
        "EntryPointMissing", _C.ENTRY_POINTS_READY, "A port has no entryPoint."
    )
    UNKNOWN = _open(
        "Unknown", _C.ENTRY_POINTS_READY, "The configuration of the edge cannot be read."
    )

    # RoutesReady
    APPLIED = _good("Applied", _C.ROUTES_READY, "Routes, PROXY Service and endpoints are in place.")
    CRD_MISSING = _bad(
        "CRDMissing", _C.ROUTES_READY, "The CRDs of the edge's routes are not installed."
    )
    CRD_OUTDATED = _bad(
        "CRDOutdated", _C.ROUTES_READY, "The CRDs of the edge's routes are too old."
    )
    NO_ENDPOINTS = _bad("NoEndpoints", _C.ROUTES_READY, "No pod of the mail server is ready.")
    WAITING_FOR_EDGE = _bad(
        "WaitingForEdge", _C.ROUTES_READY, "Routes are created once the edge is discovered."
    )

    # TrustReady
    UP_TO_DATE = _good(
        "UpToDate", _C.TRUST_READY, "Exactly the addresses that the spec asks for are trusted."
    )
    HOST_NETWORK = _advice(
        "HostNetwork",
        _C.TRUST_READY,
        "Proxy pods use hostNetwork, so every process on their nodes is trusted.",
    )
    WIDE_NETWORK = _advice("WideNetwork", _C.TRUST_READY, "More than the proxy pods is trusted.")
    NO_NODE_ADDRESSES = _bad(
        "NoNodeAddresses",
        _C.TRUST_READY,
        "A node of the edge reports no address or pod CIDR to trust.",
    )
    TOO_MANY_ADDRESSES = _bad(
        "TooManyAddresses", _C.TRUST_READY, "There are more addresses than Dovecot can read."
    )

    # PortsIsolated
    POLICY_APPLIED = _good(
        "PolicyApplied",
        _C.PORTS_ISOLATED,
        "A NetworkPolicy admits only trusted sources to the PROXY ports.",
    )
    POLICY_DISABLED = _advice(
        "PolicyDisabled",
        _C.PORTS_ISOLATED,
        "spec.networkPolicy is Disabled, so no NetworkPolicy guards the PROXY ports.",
    )

    # MailServerReady
    MOUNTED = _good(
        "Mounted", _C.MAIL_SERVER_READY, "All pods of the mail server run the current overrides."
    )
    PERMIT_DOCKER = _advice(
        "PermitDocker", _C.MAIL_SERVER_READY, "Pods may relay mail by their address on port 25."
    )
    VOLUME_REFRESH_NOT_ALLOWED = _advice(
        "VolumeRefreshNotAllowed",
        _C.MAIL_SERVER_READY,
        "A change of trust takes up to 90 s to reach the mail server.",
    )
    NO_MAIL_SERVER_PODS = _open(
        "NoMailServerPods", _C.MAIL_SERVER_READY, "No pod has the mail server's labels."
    )
    OVERRIDES_NOT_MOUNTED = _bad(
        "OverridesNotMounted",
        _C.MAIL_SERVER_READY,
        "A pod of the mail server does not mount mailproxy's files as it must.",
    )
    RESTART_PENDING = _bad(
        "RestartPending",
        _C.MAIL_SERVER_READY,
        "The mail server started before its overrides last changed.",
    )
    RELOAD_PENDING = _bad(
        "ReloadPending",
        _C.MAIL_SERVER_READY,
        "The mail server still rejects PROXY headers from a trusted proxy pod.",
    )
    IPV6_DISABLED = _bad(
        "IPv6Disabled",
        _C.MAIL_SERVER_READY,
        "Postfix refuses IPv6 clients, and the edge has IPv6 addresses.",
    )
    PLAIN_CLIENTS_REJECTED = _bad(
        "PlainClientsRejected",
        _C.MAIL_SERVER_READY,
        "Internal clients cannot connect because every port expects a PROXY header.",
    )
    WIRING_NOT_ALLOWED = _bad(
        "WiringNotAllowed",
        _C.MAIL_SERVER_READY,
        "The operator may not change the mail server's workload.",
    )
    WORKLOAD_NOT_FOUND = _bad(
        "WorkloadNotFound",
        _C.MAIL_SERVER_READY,
        "The workload or container that the spec names does not exist.",
    )

    # Conditions that objects of ours belong to
    NOT_OWNED = _bad(
        "NotOwned",
        _OWNERS_OF_OBJECTS,
        "An object of that name exists and is not managed by this MailProxy.",
    )
    REFUSED = _bad(
        "Refused",
        _OWNERS_OF_OBJECTS,
        "The API server refuses an object, and the message says why.",
    )

    # Every condition
    PENDING = _open(
        "Pending", tuple(ConditionType), "Not decided yet; the message says what is awaited."
    )
    READY = _good("Ready", _C.READY, "All checks passed.")
