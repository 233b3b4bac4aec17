"""What users install: `manifests/`, `crds/` and the Dockerfile, without an API server."""

import re
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailproxy import __version__
from mailproxy.cli.main import main
from mailproxy.kube.events import EVENTS
from mailproxy.observed.kinds import MAIL_PROXIES, WORKLOADS
from mailproxy.plan.edge.registry import PROJECTIONS
from mailproxy.plan.model import CHILD_KINDS

REPOSITORY = Path(__file__).resolve().parents[3]
MANIFESTS = REPOSITORY / "manifests"
PARTS = ("crd", "rbac", "operator")
COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())
CHOICES = ("default", "minimal")  # what users install
IMAGE = "ghcr.io/mailproxy/mailproxy-operator"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def resources_of(folder: Path) -> list[Path]:
    return [folder / name for name in read(folder / "kustomization.yaml")["resources"]]


@pytest.mark.parametrize("part", [*PARTS, *CHOICES, *(f"components/{name}" for name in COMPONENTS)])
def test_kustomization_names_what_is_there_and_all_of_it(part: str) -> None:
    folder = MANIFESTS / part
    named = resources_of(folder)
    assert all(path.exists() for path in named)
    assert set(folder.glob("*.yaml")) == {folder / "kustomization.yaml"} | {
        path for path in named if path.is_file()
    }


def test_minimal_installs_every_part() -> None:
    named = {path.resolve() for path in resources_of(MANIFESTS / "minimal")}
    assert named == {MANIFESTS / part for part in PARTS}


def test_default_is_minimal_with_the_right_to_refresh_volumes() -> None:
    kustomization = read(MANIFESTS / "default" / "kustomization.yaml")
    assert kustomization["resources"] == ["../minimal"]
    assert kustomization["components"] == ["../components/volume-refresh"]


def test_policy_guards_the_account_that_gets_the_right_to_refresh_volumes() -> None:
    folder = MANIFESTS / "components" / "volume-refresh"
    (subject,) = read(folder / "cluster-role-binding.yaml")["subjects"]
    account = read(MANIFESTS / "rbac" / "service-account.yaml")["metadata"]
    assert (subject["namespace"], subject["name"]) == (account["namespace"], account["name"])
    (condition,) = read(folder / "policy.yaml")["spec"]["matchConditions"]
    (pattern,) = re.findall(r"'(.*)'", condition["expression"])
    user = f"system:serviceaccount:{account['namespace']}:{account['name']}"
    assert re.search(pattern, user)
    assert not re.search(pattern, f"{user}2")


@pytest.mark.parametrize("name", COMPONENTS)
def test_component_binds_its_role_to_the_operators_account(name: str) -> None:
    folder = MANIFESTS / "components" / name
    account = read(MANIFESTS / "rbac" / "service-account.yaml")["metadata"]
    (subject,) = read(folder / "cluster-role-binding.yaml")["subjects"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


def test_crd_is_the_generated_file(capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = resources_of(MANIFESTS / "crd")
    (file,) = resources_of(folder.resolve())
    assert file == REPOSITORY / "crds" / "mailproxies.mailproxy.dev.yaml"
    main(["crd"])
    assert file.read_text() == capsys.readouterr().out


def test_image_is_the_one_of_this_version() -> None:
    kustomization = read(MANIFESTS / "operator" / "kustomization.yaml")
    assert kustomization["images"] == [{"name": IMAGE, "newTag": __version__}]
    assert container()["image"] == IMAGE


def test_make_labels_the_image_with_this_version() -> None:
    assert 'image.version="${VERSION}"' in (REPOSITORY / "Dockerfile").read_text()
    command = ["make", "--dry-run", "image"]
    shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert f"--build-arg VERSION={__version__} " in shown.stdout


def test_build_context_has_what_the_dockerfile_copies() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (REPOSITORY / "Dockerfile").read_text(), re.M)
    admitted = (REPOSITORY / ".dockerignore").read_text().splitlines()
    sources = {source for line in copied for source in line.split()}
    assert sources == {line.removeprefix("!") for line in admitted if line.startswith("!")}


def test_role_fits_the_kinds_in_the_code() -> None:
    """The integration test shows that it fits what the operator really does."""
    watched = PROJECTIONS.keys() - set(WORKLOADS.values())
    needed = {(r.group, r.plural, verb) for r in watched for verb in ("list", "watch")}
    verbs = ("get", "create", "patch", "delete")
    needed |= {(r.group, r.plural, verb) for r, verb in product(CHILD_KINDS.values(), verbs)}
    needed |= {
        (MAIL_PROXIES.group, MAIL_PROXIES.plural, "get"),
        (MAIL_PROXIES.group, f"{MAIL_PROXIES.plural}/status", "patch"),
        (EVENTS.group, EVENTS.plural, "create"),
    }
    assert granted_by(MANIFESTS / "rbac") == sorted(needed)


def test_component_for_wiring_fits_the_kinds_that_are_wired() -> None:
    verbs = ("get", "list", "watch", "patch")
    needed = [(r.group, r.plural, verb) for r, verb in product(WORKLOADS.values(), verbs)]
    assert granted_by(MANIFESTS / "components" / "wiring") == sorted(needed)


def granted_by(folder: Path) -> list[tuple[str, str, str]]:
    return sorted(
        right
        for rule in read(folder / "cluster-role.yaml")["rules"]
        for right in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    )


def test_token_is_mounted_in_the_operator_alone() -> None:
    account = read(MANIFESTS / "rbac" / "service-account.yaml")
    assert account["automountServiceAccountToken"] is False
    assert pod()["automountServiceAccountToken"] is True
    assert pod()["serviceAccountName"] == account["metadata"]["name"]


def test_nothing_can_be_written_in_the_container() -> None:
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert "volumes" not in pod()


def test_events_name_the_pod() -> None:
    (variable,) = container()["env"]
    assert variable["name"] == "POD_NAME"
    assert variable["valueFrom"]["fieldRef"] == {"fieldPath": "metadata.name"}


def test_probes_ask_the_port_that_the_operator_opens() -> None:
    assert container()["ports"] == [{"name": "probes", "containerPort": 8080}]
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    asked = {probe: container()[probe]["httpGet"] for probe in paths}
    assert asked == {probe: {"path": path, "port": "probes"} for probe, path in paths.items()}


def pod() -> dict[str, Any]:
    deployment = read(MANIFESTS / "operator" / "deployment.yaml")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    (only,) = pod()["containers"]
    found: dict[str, Any] = only
    return found
