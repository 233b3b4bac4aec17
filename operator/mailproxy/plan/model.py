"""What a plan is."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.identity import ObjectRef, Resource
from mailproxy.observed.child import Child
from mailproxy.observed.kinds import CONFIG_MAPS, NETWORK_POLICIES, SERVICES
from mailproxy.plan.edge.model import Edge, RoutedPort
from mailproxy.plan.edge.registry import ROUTE_KINDS
from mailproxy.plan.metadata import Manifest, find_ref, hash_files
from mailproxy.plan.trust.clients import Clients
from mailproxy.plan.trust.networks import Trust

# Routes last: they lead to what must be there before them.
CHILD_KINDS: Mapping[str, Resource] = {
    resource.kind: resource for resource in (CONFIG_MAPS, NETWORK_POLICIES, SERVICES, *ROUTE_KINDS)
}
_DELETION_ORDER = {kind: -position for position, kind in enumerate(CHILD_KINDS)}


@dataclass(frozen=True)
class Plan:
    """What should be. Children of `kept_kinds` stay as they are: neither applied nor pruned.

    `conflict` is why the MailProxy must wait for an older one. `findings` are what is wrong with
    the rest; an object that one of them is about stays as it is.
    """

    edge: Edge
    ports: tuple[RoutedPort, ...]
    trust: Trust
    clients: Clients | None
    conflict: Finding | None
    children: tuple[Manifest, ...]
    kept_kinds: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()

    def find_files(self, name: str) -> tuple[str, ...]:
        """Names of the files that this plan puts into the ConfigMap `name`; empty if into none."""
        mine = (m for m in self.children if find_ref(m) == ObjectRef("ConfigMap", name))
        return tuple(sorted(file for manifest in mine for file in manifest["data"]))

    def find_stale(self, children: Mapping[ObjectRef, Child]) -> list[Child]:
        """Children that exist and should not, in the order in which they must be deleted."""
        wanted = {find_ref(manifest) for manifest in self.children}
        wanted |= {finding.object for finding in self.findings if finding.object}
        stale = [
            child
            for ref, child in children.items()
            if ref not in wanted and child.kind not in self.kept_kinds
        ]
        return sorted(stale, key=lambda child: (_DELETION_ORDER[child.kind], child.name))


def find_trust_hash(proxy: MailProxy, plan: Plan) -> str | None:
    """Hash of the trust list as it should be; None if there is none to be."""
    wanted = ObjectRef("ConfigMap", proxy.trust_name)
    hashes = (hash_files(m["data"]) for m in plan.children if find_ref(m) == wanted)
    return next(hashes, None)
