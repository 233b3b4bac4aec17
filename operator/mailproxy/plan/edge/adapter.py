"""What one type of edge is: the interface between mailproxy and a vendor's proxy."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from mailproxy.api.edge import EdgeSpec
from mailproxy.api.finding import Finding
from mailproxy.api.mail_services import MailService
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.spec import MailProxySpec
from mailproxy.identity import ObjectRef, Resource
from mailproxy.observed.kinds import Projection
from mailproxy.observed.pod import Pod
from mailproxy.observed.selectors import Selection
from mailproxy.observed.world import World
from mailproxy.plan.edge.model import Claim, Edge, EdgeFacts, RoutedPort
from mailproxy.plan.edge.ports import assign_ports
from mailproxy.plan.metadata import Manifest


class EdgeAdapter:
    """One edge type, pure and without state. `type` is its name in `api/edge/types.py`.

    `route_kinds` are the kinds of what `build_routes` makes, in the order in which they must be
    written; they are deleted in the opposite order. None: this edge is routed by its own
    configuration. `projections` say what is kept of the objects that `select` asks for.

    What a type leaves as it is here, it does not have.
    """

    type: ClassVar[str]
    route_kinds: ClassVar[tuple[Resource, ...]] = ()
    projections: ClassVar[Mapping[Resource, Projection]] = {}

    def select(self, spec: EdgeSpec) -> tuple[Selection, ...]:
        """What has to be read beside the edge's Service and pods; see `World.edge_objects`."""
        return ()

    def read(self, spec: EdgeSpec, world: World, pods: tuple[Pod, ...]) -> EdgeFacts:
        """Read the configuration; `pods` are the live ones."""
        return EdgeFacts()

    def assign_ports(self, spec: MailProxySpec, edge: Edge) -> tuple[RoutedPort, ...]:
        """Find the entryPoint of each mail service, in the table's order."""
        return assign_ports(spec, edge)

    def find_claims(self, spec: MailProxySpec, ports: tuple[RoutedPort, ...]) -> tuple[Claim, ...]:
        """What no two MailProxies can have at this edge, the most telling first."""
        return ()

    def find_route(self, proxy: MailProxy, service: MailService) -> ObjectRef | None:
        """The object that routes one mail service; None if there is none at this edge."""
        return None

    def build_routes(self, proxy: MailProxy, ports: tuple[RoutedPort, ...]) -> list[Manifest]:
        """Manifests of the routes, in the order in which they must be written."""
        return []

    def find_probe_port(self, pod: Pod, entry_points: Iterable[str]) -> int | None:
        """Port of the pod on which the first of these that is offered greets anybody."""
        return None

    def inspect_edge(self, spec: EdgeSpec, edge: Edge) -> Iterator[Finding]:
        """What is wrong with the edge itself, such as its version (EdgeDiscovered)."""
        yield from ()

    def inspect_ports(
        self, spec: MailProxySpec, edge: Edge, ports: tuple[RoutedPort, ...]
    ) -> Iterator[Finding]:
        """What is right or wrong with the entryPoints of a discovered edge (EntryPointsReady)."""
        raise NotImplementedError

    def explain_missing_kind(self, kind: str) -> str:
        """Remedy if the API server does not serve a kind of `route_kinds`, as a clause."""
        raise NotImplementedError

    def explain_missing_field(self, kind: str, field: str) -> str:
        """Remedy if the installed CRD of a kind is too old, as a clause."""
        raise NotImplementedError
