"""An edge for each test, where mailproxy is installed with the right to change workloads."""

from collections.abc import Iterator

import pytest

from tests.integration.cluster import Installation
from tests.integration.scene import Scene


@pytest.fixture
def scene(installed: Installation) -> Iterator[Scene]:
    """An edge, and a namespace for a mail server."""
    installed.operator.ensure_running()
    scene = Scene(installed.api)
    scene.add_edge("10.1.0.1")
    yield scene
    scene.tear_down()
