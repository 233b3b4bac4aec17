"""`make test`: two pytest processes, one verdict."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests import side_by_side
from tests.controlplane.api import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
PASSES = "def test_good(): pass\n"
FAILS = "def test_bad(): assert 0\n"
WAITS = """
import pytest, threading
from pathlib import Path

@pytest.fixture
def server():
    Path(__file__).with_suffix(".started").touch()
    yield
    Path(__file__).with_suffix(".ended").touch()

def test_waits(server):
    threading.Event().wait(60)
"""
RUN = """
import sys
from tests import side_by_side
side_by_side.COMPUTING, side_by_side.WAITING = [sys.argv[1]], [sys.argv[2]]
sys.exit(side_by_side.main(sys.argv[3:]))
"""


def start(folder: Path, texts: Sequence[str], *arguments: str) -> subprocess.Popen[str]:
    """Run one text as the tests that compute, another as those that wait."""
    paths = [folder / "test_computing.py", folder / "test_waiting.py"]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, paths), *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # three times as fast
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("texts", [(FAILS, PASSES), (PASSES, FAILS)], ids=["computing", "waiting"])
def test_failure_of_one_is_the_result_and_is_named_at_the_end(
    tmp_path: Path, texts: tuple[str, str]
) -> None:
    process = start(tmp_path, texts)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    end = output.rpartition("== make test")[2]
    assert end.count("1 passed") == end.count("1 failed") == end.count("FAILED ") == 1


def test_options_go_to_both_and_one_may_choose_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, (PASSES, FAILS), "-k", "good")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    process = start(tmp_path, (PASSES, FAILS), "-k", "neither")
    process.communicate(timeout=60)
    assert process.returncode == side_by_side.NOTHING_CHOSEN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_both_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, (WAITS, WAITS))
    wait_for(lambda: len(list(tmp_path.glob("*.started"))) == 2, 30)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert len(list(tmp_path.glob("*.ended"))) == 2, output


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], [side_by_side.COMPUTING, side_by_side.WAITING]),
        (["tests/unit/api"], [["tests/unit/api"]]),
        (["tests/e2e/test_sni.py::test_a"], [["tests/e2e/test_sni.py::test_a"]]),
        (["tests/e2e", "tests/engine"], [["tests/engine"], ["tests/e2e"]]),
    ],
)
def test_paths_choose_what_is_run(paths: list[str], expected: list[list[str]]) -> None:
    assert side_by_side.split(paths) == expected
