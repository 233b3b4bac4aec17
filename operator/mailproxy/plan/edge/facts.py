"""What is known of an edge, and of the entryPoint behind a port."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailproxy.api.mail_services import MailService
from mailproxy.api.reasons import Reason
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import PodSet

_PROBLEMS_OF_VERSIONS = (None, Reason.TRAEFIK_PROXY_PROTOCOL_BUG, Reason.TRAEFIK_TOO_OLD)


@dataclass(frozen=True)
class Edge:
    """What is known of an edge.

    `pod_set` tells which pods belong to it; None when nothing tells. `entry_points` maps
    names to TCP ports of the pod and is None when the configuration cannot be read.
    `exposed` maps public ports to ports of the pod. `problem` is why it cannot serve as it is.
    """

    pod_set: PodSet | None
    pods: tuple[Pod, ...]
    entry_points: Mapping[str, int] | None
    exposed: Mapping[int, int]
    versions: tuple[str, ...]
    problem: Reason | None = None

    @property
    def has_pods(self) -> bool:
        """Whether entryPoints and routes can be judged at all."""
        return self.problem in _PROBLEMS_OF_VERSIONS


@dataclass(frozen=True)
class RoutedPort:
    """One mail service and the entryPoint that serves it.

    `found` is None when the edge's configuration cannot be read. `exposed_port` is the port that
    clients use, None when the edge offers none.
    """

    service: MailService
    entry_point: str
    found: bool | None
    exposed_port: int | None
    by_hostname: bool
