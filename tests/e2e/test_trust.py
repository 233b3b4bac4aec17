"""A new pod of the edge is believed as soon as it has an address, before it is ready."""

from concurrent.futures import Future

import pytest

from tests.e2e.arrival import Arrival
from tests.e2e.modes import MODES, Mode
from tests.e2e.report import Report


@pytest.mark.parametrize("arriving_mode", MODES, ids="-".join)
def test_unready_edge_pod_gets_into_the_config_map_at_once_and_then_into_the_mount(
    arriving_mode: Mode, arrivals: dict[Mode, Future[Arrival]], report: Report
) -> None:
    arrival = arrivals[arriving_mode].result()
    report.notes.add(
        f"{'-'.join(arriving_mode)}: a new edge pod is in the ConfigMap after"
        f" {arrival.in_config_map:.2f} s, in the mail server's mount after {arrival.in_mount:.0f} s"
    )
