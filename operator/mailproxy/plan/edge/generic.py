"""Any other proxy: its pods are trusted, and its own configuration routes."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.reasons import Reason
from mailproxy.api.spec import MailProxySpec
from mailproxy.plan.edge.adapter import EdgeAdapter
from mailproxy.plan.edge.model import Edge, RoutedPort


class GenericAdapter(EdgeAdapter):
    """An edge of which nothing is known but its pods and their public ports."""

    type = "Generic"

    def inspect_ports(
        self, spec: MailProxySpec, edge: Edge, ports: tuple[RoutedPort, ...]
    ) -> Iterator[Finding]:
        yield Finding(
            ConditionType.ENTRY_POINTS_READY,
            Reason.NOT_APPLICABLE,
            "Not checked: routes of a Generic edge are managed outside mailproxy.",
        )
