"""What a contributor adds works end to end without a change anywhere else.

Each experiment copies the package, adds what only it defines, and runs the tests of its own file
against the copy. The lists of files are those that CONTRIBUTING.md gives.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
EXPERIMENTS = Path(__file__).parent


class Copy:
    """A copy of the package that can be added to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / "operator", folder / "operator", ignore=ignored)

    def insert(self, file: str, before: str, text: str) -> None:
        """Add lines to a file, before the one place where `before` stands."""
        path = self.folder / "operator" / "mailproxy" / file
        content = path.read_text()
        assert content.count(before) == 1, f"{before!r} must stand once in {file}"
        path.write_text(content.replace(before, text + before))

    def add(self, file: str, source: Path) -> None:
        """Add a file."""
        path = self.folder / "operator" / "mailproxy" / file
        assert not path.exists()
        shutil.copy(source, path)

    def run(self, name: str) -> None:
        """Run the tests of an experiment against the copy."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"]
        paths = f"{self.folder / 'operator'} {REPOSITORY}"
        done = subprocess.run(
            [*command, "-o", f"pythonpath={paths}", EXPERIMENTS / name / "checks.py"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert " passed" in done.stdout


@pytest.fixture
def package(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_ninth_mail_service_is_one_row(package: Copy) -> None:
    row = (
        '    MailService("submission-alt", 2525, 12526, "suba-proxy", Daemon.SMTPD, listener=None,'
        ' copy_of="submission", by_default=False),\n'
    )
    package.insert("api/mail_services.py", before=")\n\n\nclass PortName", text=row)
    package.run("mail_service")


def test_edge_type_with_routes_is_an_adapter_and_its_registration(package: Copy) -> None:
    row = '    EdgeTypeRow("Lab", "an edge of this experiment", has_routes=True),\n'
    package.insert("api/edge/types.py", before=")\n\n\nclass EdgeType(StrEnum)", text=row)
    package.add("plan/edge/lab.py", EXPERIMENTS / "edge_type" / "lab.py")
    imported = "from mailproxy.plan.edge.lab import LabAdapter\n"
    package.insert(
        "plan/edge/registry.py", before="from mailproxy.plan.edge.generic", text=imported
    )
    package.insert("plan/edge/registry.py", before="GenericAdapter())", text="LabAdapter(), ")
    package.run("edge_type")


def test_condition_is_a_module_and_its_rows(package: Copy) -> None:
    row = '    SENDER_KNOWN = "SenderKnown", "sender"\n'
    package.insert("api/conditions.py", before='    MAIL_SERVER_READY = "', text=row)
    rows = (
        '    SENDER_FOUND = _good("SenderFound", _C.SENDER_KNOWN, "The sender is known.")\n'
        '    SENDER_MISSING = _bad("SenderMissing", _C.SENDER_KNOWN, "The sender is not known.")\n'
    )
    package.insert("api/reasons.py", before="    MOUNTED = _good(", text=rows)
    package.add("diagnose/sender_known.py", EXPERIMENTS / "condition" / "sender_known.py")
    package.run("condition")
