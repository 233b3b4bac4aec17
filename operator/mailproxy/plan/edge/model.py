"""What is known of an edge, of the entryPoint behind a port, and what MailProxies can claim."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailproxy.api.mail_services import MailService
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import PodSet

ANY_HOST = "*"


@dataclass(frozen=True)
class EdgeFacts:
    """What an adapter reads: `entry_points` are names with TCP ports of the pod.

    They are None if the configuration cannot be read. `versions` are sorted.
    """

    entry_points: Mapping[str, int] | None = None
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """What is known of an edge.

    `pod_set` tells which pods belong to it; None if nothing tells. `is_located` is whether the
    spec's own labels or Service tell: while they do not, the pods that were known last are
    followed. `pods` are live. `exposed` maps public ports to ports of the pod.
    """

    pod_set: PodSet | None
    is_located: bool
    pods: tuple[Pod, ...]
    exposed: Mapping[int, int]
    facts: EdgeFacts

    @property
    def has_pods(self) -> bool:
        """Whether entryPoints and routes can be judged at all."""
        return self.is_located and bool(self.pods)


@dataclass(frozen=True)
class RoutedPort:
    """One mail service and the entryPoint that serves it.

    `found` is None if the edge's configuration cannot be read. `exposed_port` is the port that
    clients use, None if the edge offers none.
    """

    service: MailService
    entry_point: str
    found: bool | None
    exposed_port: int | None
    by_hostname: bool


@dataclass(frozen=True)
class Claim:
    """Something of an edge that one MailProxy alone can have, for one host name or `*`.

    `kind` and `name` say what, in the words of a message: `entryPoint` `mail-smtp`.
    """

    kind: str
    name: str
    host: str = ANY_HOST
