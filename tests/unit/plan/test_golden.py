"""Every child and the status of whole MailProxies, as files that a reviewer can read.

`pytest tests/unit/plan/test_golden.py --update-golden` rewrites them. A new case is a new folder
with an `input.yaml`: the MailProxy first, then the objects that the API server holds.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.worlds import GOLDEN, GOLDEN_NAMES, judge, observe, read_documents

from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.status import MailProxyStatus
from mailproxy.plan.build import build_plan
from mailproxy.plan.mail_server.templates import load_watcher

WATCHER = load_watcher().rstrip()
ELIDED = "(here is the watcher: plan/templates/watcher)"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as literal blocks, and nothing as an alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as the base class has it
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(documents: Sequence[Any]) -> str:
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, explicit_start=True, width=100)


def compare(path: Path, actual: str, update: bool) -> None:
    if update:
        path.write_text(actual)
    expected = path.read_text() if path.exists() else ""
    if actual != expected:
        difference = difflib.unified_diff(
            expected.splitlines(), actual.splitlines(), "golden", "planned now", lineterm="", n=4
        )
        text = "\n".join(difference)
        pytest.fail(f"{path} (`--update-golden` accepts):\n{text}", pytrace=False)


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_children_are_those_of_the_golden_file(name: str, update_golden: bool) -> None:
    body, *objects = read_documents(name, "input.yaml")
    proxy = MailProxy.model_validate(body)
    children = build_plan(proxy, observe(proxy, objects)).children
    for child in children:
        for file, text in child.get("data", {}).items():
            child["data"][file] = text.replace(WATCHER, ELIDED)
    compare(GOLDEN / name / "children.yaml", to_yaml(children), update_golden)


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_status_is_that_of_the_golden_file(name: str, update_golden: bool) -> None:
    body, *objects = read_documents(name, "input.yaml")
    proxy = MailProxy.model_validate(body)
    status = judge(proxy, observe(proxy, objects))
    MailProxyStatus.model_validate(status)
    compare(GOLDEN / name / "status.yaml", to_yaml([status]), update_golden)


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_texts_of_several_lines_are_literal_blocks(name: str) -> None:
    text = (GOLDEN / name / "children.yaml").read_text()
    for child in read_documents(name, "children.yaml"):
        for file in child.get("data", {}):
            assert f"\n  {file}: |\n" in text
