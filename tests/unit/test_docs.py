"""What Markdown files and forms name is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.demo.sample import TIMES, read_sample, to_pattern

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob(".github/*.md")]
)
README = (REPOSITORY / "README.md").read_text()
FORMS = sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
for_each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY))
)


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@for_each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked), target


@for_each_page
def test_make_targets_exist(page: Path) -> None:
    rules = re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]+)", page.read_text(), re.MULTILINE))
    assert named <= set(rules)


@for_each_page
def test_paths_exist(page: Path) -> None:
    named = re.findall(r"[` ]((?:manifests|docs|crds|tests|operator)/[\w./-]*\w)", page.read_text())
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_readme_shows_the_example_that_the_demo_applies() -> None:
    block = README.partition("```yaml\n")[2].partition("```")[0]
    example = (REPOSITORY / "manifests" / "examples" / "mail.yaml").read_text()
    assert yaml.safe_load(block) == yaml.safe_load(example)


def test_sample_of_the_demo_allows_other_times_and_nothing_else() -> None:
    sample = read_sample(README)
    timed = next(line for line in sample if " ms" in line)
    assert re.fullmatch(to_pattern(timed), TIMES.sub("4.2 ms", timed))
    assert not re.fullmatch(to_pattern(timed), timed.replace("1", "2"))
    cut = next(line for line in sample if line.endswith("..."))
    assert re.fullmatch(to_pattern(cut), cut.replace("...", "All checks passed."))


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_forms_ask_for_the_object(name: str) -> None:
    (form,) = (yaml.safe_load(path.read_text()) for path in FORMS if path.name == name)
    assert any("kubectl get mxp" in text and "-o yaml" in text for text in descriptions(form))


def descriptions(form: dict[str, Any]) -> Iterator[str]:
    """What a form says below the labels of its questions."""
    for question in form["body"]:
        yield question["attributes"].get("description", "")
