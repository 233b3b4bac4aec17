"""What a plan is."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.observed.child import Child
from mailproxy.observed.world import ChildId
from mailproxy.plan.edge.facts import Edge, RoutedPort
from mailproxy.plan.metadata import Manifest, overrides_hash, trust_name
from mailproxy.plan.trust.clients import Clients
from mailproxy.plan.trust.networks import Trust

TRAEFIK_KINDS = frozenset({"IngressRouteTCP", "ServersTransportTCP"})
CHILD_KINDS = TRAEFIK_KINDS | {"ConfigMap", "NetworkPolicy", "Service"}


@dataclass(frozen=True)
class Problem:
    """Why one child is not as it should be; `reason` belongs to a condition."""

    child: ChildId
    reason: Reason
    message: str


@dataclass(frozen=True)
class Plan:
    """What should be. Children of `kept_kinds` stay as they are: neither applied nor pruned."""

    edge: Edge
    ports: tuple[RoutedPort, ...]
    trust: Trust
    clients: Clients | None
    conflict: str | None
    children: tuple[Manifest, ...]
    kept_kinds: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()

    def find_files(self, name: str) -> tuple[str, ...]:
        """Names of the files that this plan puts into the ConfigMap `name`; empty if into none."""
        mine = (m for m in self.children if child_id(m) == ("ConfigMap", name))
        return tuple(sorted(file for manifest in mine for file in manifest["data"]))

    def find_stale(self, children: Mapping[ChildId, Child]) -> list[Child]:
        """Children that exist and should not, of the kinds that this plan decides about."""
        wanted = {child_id(manifest) for manifest in self.children}
        wanted |= {problem.child for problem in self.problems}
        return [
            child
            for key, child in sorted(children.items())
            if key not in wanted and child.kind not in self.kept_kinds
        ]


def find_trust_hash(proxy: MailProxy, plan: Plan) -> str | None:
    """Hash of the trust list as it should be; None when there is none to be."""
    wanted = ("ConfigMap", trust_name(proxy))
    hashes = (overrides_hash(m["data"]) for m in plan.children if child_id(m) == wanted)
    return next(hashes, None)


def child_id(manifest: Manifest) -> ChildId:
    return manifest["kind"], manifest["metadata"]["name"]
