"""What was observed for one MailProxy: API objects, and nothing that was tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mailproxy.api.mailproxy import MailProxy
from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.observed.child import Child
from mailproxy.observed.config_map import ConfigMap
from mailproxy.observed.node import Node
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import PodSet, Selection
from mailproxy.observed.service import Service
from mailproxy.observed.workload import Workload


@dataclass(frozen=True)
class Unreadable:
    """What may or may not be there: the API server does not tell, and `why` it does not."""

    why: str


@dataclass(frozen=True)
class World:
    """Objects that matter to one MailProxy.

    `pods` are those of `pod_set`; `nodes` are there only where trust depends on them, and
    `edge_objects` are what the edge's adapter reads beside pods. `children` carry our label and
    this MailProxy's name. `has_ready_endpoints` is None before Kubernetes has looked for pods
    behind the PROXY Service. `missing_kinds` are not served by the API server.
    `user_overrides` is the ConfigMap that `mailServer.overridesFrom` names, if it exists.
    `client_pods` are the pods of `internalClients`, by those clients' names.
    `mail_pods` are those of `mailServer.podSelector`, finished ones included. `workload` is what
    `mailServer.workloadRef` names, None if it does not exist or is not needed.
    """

    others: tuple[MailProxy, ...] = ()
    edge_service: Service | None = None
    pod_set: PodSet | None = None
    pods: tuple[Pod, ...] = ()
    edge_objects: Mapping[Selection, Mapping[ObjectKey, Any]] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    has_ready_endpoints: bool | None = None
    missing_kinds: frozenset[str] = frozenset()
    children: Mapping[ObjectRef, Child] = field(default_factory=dict)
    user_overrides: ConfigMap | None = None
    client_pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    mail_pods: tuple[Pod, ...] = ()
    workload: Workload | Unreadable | None = None
