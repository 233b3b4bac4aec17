"""The examples are complete and read well: each field, value, bound and rule has one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tests.unit.api.test_spec import ROOT, SCHEMAS

from mailproxy.api.base import RULES_KEY
from mailproxy.api.mailproxy import MailProxy, describe_errors

EXAMPLES = Path(__file__).resolve().parents[3] / "manifests" / "examples"
VALID = sorted((EXAMPLES / "valid").glob("*.yaml"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.yaml"))
for_each = pytest.mark.parametrize("path", [*VALID, *INVALID], ids=lambda path: path.stem)
for_each_valid = pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
for_each_invalid = pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)

# What the API server says when a bound is broken.
SAID_OF_BOUNDS = {
    "enum": "Unsupported value",
    "maxLength": "Too long",
    "minLength": "at least 1 chars",
    "maxItems": "Too many",
    "minItems": "at least 1 items",
    "maxProperties": "must have at most 8 items",
    "minProperties": "at least 1 properties",
}


def read_example(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load(path.read_text())
    return manifest


def read_expectation(path: Path) -> tuple[str, str]:
    """Schema path and part of the message from the first two lines of an invalid example."""
    field, message = path.read_text().splitlines()[:2]
    schema_path = re.sub(r"\[\d+\]", "[]", field.removeprefix("# field: "))
    return re.sub(r"matchLabels.+", "matchLabels.*", schema_path), message.removeprefix(
        "# message: "
    )


def find_refusal(path: Path) -> str:
    manifest = read_example(path)
    metadata = {"namespace": "mail", "uid": "1"} | manifest["metadata"]
    try:
        MailProxy.model_validate({"metadata": metadata, "spec": manifest.get("spec")})
    except ValidationError as error:
        return describe_errors(error)
    return ""


def find_values(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """All that an example sets, by the paths of the schema."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from find_values(item, f"{path}.{'*' if path.endswith('matchLabels') else key}")
    elif isinstance(value, list):
        for item in value:
            yield from find_values(item, f"{path}[]")
    if value is not None:
        yield path, str(value)


SPEC = {path: schema for path, schema in SCHEMAS.items() if path.startswith("spec")}
ENUM_VALUES = [(path, str(v)) for path, schema in SPEC.items() for v in schema.get("enum", [])]
REQUIRED = ["spec", *(f"{p}.{name}" for p, s in SPEC.items() for name in s.get("required", []))]
# One model serves both selectors: examples of the mail server's stand for the edge's too.
BOUNDS = [
    (path, bound)
    for path, schema in SPEC.items()
    for bound in SAID_OF_BOUNDS
    if bound in schema and "edge.podSelector" not in path and "internalClients" not in path
]
NAME_RULES = ROOT["properties"]["metadata"]["properties"]["name"][RULES_KEY]
RULES = {r["message"] for schema in SPEC.values() for r in schema.get(RULES_KEY, [])} | {
    rule["message"] for rule in [*NAME_RULES, *ROOT[RULES_KEY]]
}
USED = {found for path in VALID for found in find_values(read_example(path)["spec"], "spec")}
EXPECTED = {read_expectation(path) for path in INVALID}
REFUSALS = {path: find_refusal(path) for path in INVALID}


@pytest.mark.parametrize("path", SPEC)
def test_some_valid_example_has_the_field(path: str) -> None:
    assert path in {used for used, _ in USED}


@pytest.mark.parametrize(("path", "value"), ENUM_VALUES)
def test_some_valid_example_has_the_value(path: str, value: str) -> None:
    assert (path, value) in USED


@pytest.mark.parametrize(("path", "bound"), BOUNDS)
def test_some_invalid_example_breaks_the_bound(path: str, bound: str) -> None:
    assert (path, SAID_OF_BOUNDS[bound]) in EXPECTED


@pytest.mark.parametrize("path", REQUIRED)
def test_some_invalid_example_lacks_the_required_field(path: str) -> None:
    assert (path, "Required value") in EXPECTED


@pytest.mark.parametrize("message", sorted(RULES))
def test_some_invalid_example_breaks_the_rule_and_the_model_says_so(message: str) -> None:
    expecting = [path for path in INVALID if read_expectation(path)[1] in message]
    assert expecting
    assert all(message in REFUSALS[path] for path in expecting)


@for_each_valid
def test_model_takes_valid_example(path: Path) -> None:
    assert find_refusal(path) == ""


@for_each_invalid
def test_model_refuses_invalid_example(path: Path) -> None:
    assert REFUSALS[path]


@for_each_valid
def test_valid_example_says_when_to_use_it(path: Path) -> None:
    assert path.read_text().startswith("# When ")


@for_each_invalid
def test_invalid_example_says_what_would_be_right(path: Path) -> None:
    third = path.read_text().splitlines()[2]
    assert re.fullmatch(r"# .*[.?]", third)


@for_each
def test_example_is_one_mailproxy_for_any_namespace(path: Path) -> None:
    manifest = read_example(path)
    assert set(manifest) <= {"apiVersion", "kind", "metadata", "spec"}
    assert (manifest["apiVersion"], manifest["kind"]) == ("mailproxy.dev/v1alpha1", "MailProxy")
    assert set(manifest["metadata"]) == {"name"}


def test_valid_examples_can_be_applied_together() -> None:
    names = [read_example(path)["metadata"]["name"] for path in VALID]
    assert len(set(names)) == len(names)
