"""Why a condition has its status: one word for programs."""

from enum import StrEnum


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
