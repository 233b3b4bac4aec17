"""Options of all tests."""

import pytest
from hypothesis import settings

# A busy machine must not fail a test: no deadline, and examples for about a second at most.
settings.register_profile("unit", deadline=None, max_examples=50)
settings.load_profile("unit")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be rewritten instead of compared."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite tests/unit/golden from what the plan says now; review the difference",
    )


@pytest.fixture
def update_golden(pytestconfig: pytest.Config) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(pytestconfig.getoption("--update-golden"))
