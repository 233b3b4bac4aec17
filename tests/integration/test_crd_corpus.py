"""Every example, judged by a real API server and by the model: both must say the same."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest
import yaml
from pydantic import ValidationError

from mailproxy.api.base import RULES_KEY
from mailproxy.api.mailproxy import MailProxy, describe_errors
from tests.controlplane.api import Api, ApiStatus, Manifest, list_path
from tests.controlplane.crds import mailproxy_crd
from tests.controlplane.edge import create_namespace, delete_namespace
from tests.controlplane.server import ControlPlane

EXAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "examples"
VALID = sorted((EXAMPLES / "valid").glob("*.yaml"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.yaml"))
for_each_valid = pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
for_each_invalid = pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)

# One error begins where the text or a list of errors does, or behind the error before it.
_FIELD = re.compile(r"(?:^|invalid: |\[|, |; )((?:spec|metadata)[^\s:]*): ")
_MAP_KEY = re.compile(r"(?<=matchLabels)\[([^]]*)\]")


def read_example(path: Path, namespace: str = "default") -> Manifest:
    manifest: Manifest = yaml.safe_load(path.read_text())
    manifest["metadata"]["namespace"] = namespace
    return manifest


def read_expectation(path: Path) -> tuple[str, str]:
    """Field and part of the message from the first two lines of an invalid example."""
    field, message = path.read_text().splitlines()[:2]
    return field.removeprefix("# field: "), message.removeprefix("# message: ")


def dry_run(api: Api, manifest: Manifest) -> Manifest:
    """The object as the API server would store it, with its defaults."""
    path = list_path("MailProxy", manifest["metadata"]["namespace"])
    stored: Manifest = api.request("POST", path, manifest, query={"dryRun": "All"})
    return stored


def find_server_refusal(api: Api, manifest: Manifest) -> str:
    """What the API server says; empty when it takes the object."""
    try:
        dry_run(api, manifest)
    except ApiStatus as refused:
        return refused.message
    return ""


def read_model(manifest: Manifest) -> MailProxy:
    metadata = {"uid": "not stored"} | manifest["metadata"]
    return MailProxy.model_validate({"metadata": metadata, "spec": manifest.get("spec")})


def find_model_refusal(manifest: Manifest) -> str:
    """What the model says; empty when it takes the object."""
    try:
        read_model(manifest)
    except ValidationError as error:
        return describe_errors(error)
    return ""


def find_fields(refusal: str) -> set[str]:
    """Fields that a refusal names, spelt alike: CEL writes `labels[app]`, schemas `labels.app`."""
    return {_MAP_KEY.sub(r".\1", field) for field in _FIELD.findall(refusal)}


def find_rule_messages(schema: Any) -> set[str]:
    """Messages of all our rules in a schema."""
    if isinstance(schema, list):
        return set().union(*map(find_rule_messages, schema))
    if not isinstance(schema, dict):
        return set()
    own = {rule["message"] for rule in schema.get(RULES_KEY, [])}
    return own.union(*(find_rule_messages(v) for k, v in schema.items() if k != RULES_KEY))


RULE_MESSAGES = find_rule_messages(mailproxy_crd())


def find_rules_saying(message: str) -> list[str]:
    """Whole messages of the rules that `message` is from; none when a type or a bound says it."""
    return [known for known in RULE_MESSAGES if message in known]


def assert_refused_for(field: str, message: str, refusal: str) -> None:
    """The refusal names `field` and nothing outside of it, with the message."""
    fields, (expected,) = find_fields(refusal), find_fields(f"{field}: ")
    assert expected in fields
    assert all(found.startswith(expected) for found in fields)
    assert message in refusal


def drop_lists(value: Any) -> Any:
    """Leave out lists, which have no default in the CRD, so that users' lists are theirs alone."""
    if isinstance(value, dict):
        return {k: drop_lists(v) for k, v in value.items() if not isinstance(v, list)}
    return value


@for_each_valid
def test_valid_example_means_the_same_as_written_and_as_stored(api: Api, path: Path) -> None:
    manifest = read_example(path)
    stored = dry_run(api, manifest)
    spec = read_model(manifest).spec
    assert spec == read_model(stored).spec
    dumped = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert drop_lists(dumped) == drop_lists(stored["spec"])


@for_each_invalid
def test_invalid_example_is_refused_for_one_field_by_both(api: Api, path: Path) -> None:
    manifest = read_example(path)
    field, message = read_expectation(path)
    by_server, by_model = find_server_refusal(api, manifest), find_model_refusal(manifest)
    assert_refused_for(field, message, by_server)
    assert find_fields(by_model) == find_fields(f"{field}: ")
    assert all(rule in by_server and rule in by_model for rule in find_rules_saying(message))


class Applied(NamedTuple):
    """What kubectl said when all valid examples were applied, applied again, and compared."""

    first: list[str]
    second: list[str]
    diff: CompletedProcess[str]


def find_diff(control_plane: ControlPlane, files: list[str]) -> CompletedProcess[str]:
    """What `kubectl diff` says; an operator may write a status between its two looks at one."""
    for _ in range(5):
        diff = control_plane.run_kubectl("diff", *files, check=False)
        if not diff.returncode:
            break
    return diff


@pytest.fixture(scope="module")
def applied(control_plane: ControlPlane, api: Api) -> Iterator[Applied]:
    namespace = f"test-{secrets.token_hex(4)}"
    create_namespace(api, namespace)
    files = ["--namespace", namespace, "--filename", str(EXAMPLES / "valid")]
    yield Applied(
        control_plane.run_kubectl("apply", *files).stdout.splitlines(),
        control_plane.run_kubectl("apply", *files).stdout.splitlines(),
        find_diff(control_plane, files),
    )
    delete_namespace(api, namespace)


@for_each_valid
def test_applying_a_valid_example_again_changes_nothing(applied: Applied, path: Path) -> None:
    known_as = f"mailproxy.mailproxy.dev/{read_example(path)['metadata']['name']}"
    assert f"{known_as} created" in applied.first
    assert f"{known_as} unchanged" in applied.second


@for_each_valid
def test_diff_of_an_applied_example_is_empty(applied: Applied, path: Path) -> None:
    assert f".{read_example(path)['metadata']['name']}" not in applied.diff.stdout
    assert (applied.diff.returncode, applied.diff.stderr) == (0, "")
