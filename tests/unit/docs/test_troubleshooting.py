"""`docs/troubleshooting.md` and the table of reasons say the same."""

import re
from pathlib import Path

import pytest

from mailproxy.api.conditions import ConditionType
from mailproxy.api.reasons import Reason

PAGE = Path(__file__).resolve().parents[3] / "docs" / "troubleshooting.md"


def read_sections() -> dict[str, str]:
    """Text below each heading of the third level, without line breaks in sentences."""
    parts = re.split(r"(?m)^### (\w+)\n", PAGE.read_text())
    texts = [re.split(r"(?m)^## ", text)[0] for text in parts[2::2]]
    assert len(set(parts[1::2])) == len(parts[1::2]), "a reason has two sections"
    return dict(zip(parts[1::2], (re.sub(r"\s+", " ", text) for text in texts), strict=True))


SECTIONS = read_sections()


def test_each_reason_has_a_section_and_each_section_is_a_reason() -> None:
    assert set(SECTIONS) == {str(reason) for reason in Reason}


@pytest.mark.parametrize("reason", Reason)
def test_section_says_condition_meaning_how_to_see_it_and_how_to_fix_it(reason: Reason) -> None:
    text = SECTIONS[reason]
    is_general = len(reason.conditions) == len(ConditionType)
    names = "every condition" if is_general else ", ".join(f"`{c}`" for c in reason.conditions)
    advisory = " (advisory)" if reason.advisory else ""
    assert f"Condition: {names}, status `{reason.status}`{advisory} " in text
    assert reason.meaning in text
    assert re.search(r"```sh kubectl .*```", text)
    fix = text.split("**Fix:** ")[1]
    assert fix.startswith("Nothing to fix") == (
        reason.status == "True" and not reason.advisory
    ) or (reason == Reason.SUSPENDED)
    assert fix.rstrip().endswith(".")


@pytest.mark.parametrize("reason", Reason)
def test_anchor_is_the_one_that_the_heading_gets(reason: Reason) -> None:
    """GitHub and mkdocs make it of the heading's letters in lower case."""
    file, anchor = reason.anchor.split("#")
    assert (file, anchor) == (PAGE.name, str(reason).lower())
