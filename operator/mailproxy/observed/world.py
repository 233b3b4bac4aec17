"""What was observed for one MailProxy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailproxy.api.mailproxy import MailProxy
from mailproxy.observed.addresses import Address
from mailproxy.observed.child import Child
from mailproxy.observed.config_map import ConfigMap
from mailproxy.observed.node import Node
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import PodSet
from mailproxy.observed.service import Service
from mailproxy.observed.workload import Workload

ChildId = tuple[str, str]  # kind and name; the namespace is the MailProxy's


@dataclass(frozen=True)
class World:
    """What was observed for one MailProxy.

    `pods` are those of `pod_set`; `nodes` are there only where trust depends on them. `children`
    carry our label and this MailProxy's name. `has_ready_endpoints` is None before Kubernetes has
    looked for pods behind the PROXY Service. `missing_kinds` are not served by the API server.
    `user_overrides` is the ConfigMap that `mailServer.overridesFrom` names, if it is there.
    `client_pods` are the pods of `internalClients`, by those clients' names.
    `mail_pods` are those of `mailServer.podSelector`, finished ones included. `poke_allowed` is
    None as long as no mail pod had to be poked. `beliefs` tells of proxy pods, by their first
    address, whether the mail server believes them, where that is known.
    `workload` is what `mailServer.workloadRef` names, None when it is not there or not needed;
    `workload_error` says why it cannot be known.
    """

    others: tuple[MailProxy, ...] = ()
    edge_service: Service | None = None
    pod_set: PodSet | None = None
    pods: tuple[Pod, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    has_ready_endpoints: bool | None = None
    missing_kinds: frozenset[str] = frozenset()
    children: Mapping[ChildId, Child] = field(default_factory=dict)
    user_overrides: ConfigMap | None = None
    client_pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    mail_pods: tuple[Pod, ...] = ()
    poke_allowed: bool | None = None
    beliefs: Mapping[Address, bool] = field(default_factory=dict)
    workload: Workload | None = None
    workload_error: str = ""
