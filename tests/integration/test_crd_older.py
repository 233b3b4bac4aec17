"""The CRD on an older API server, where no operator writes a status beside the test's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailproxy.api.conditions import ConditionType
from mailproxy.api.status import MAX_TRUSTED_NETWORKS
from tests.controlplane.api import Api, ApiStatus, Manifest, wait_for
from tests.controlplane.binaries import Binaries
from tests.controlplane.crds import mailproxy_crd
from tests.controlplane.server import ControlPlane
from tests.integration.test_crd_corpus import (
    assert_refused_for,
    find_rules_saying,
    find_server_refusal,
    for_each_invalid,
    for_each_valid,
    read_example,
    read_expectation,
)
from tests.integration.test_crd_grammar import build_proxy

EMULATED = "1.33"  # three releases back is as far as an API server goes
NAMESPACE = "default"


@pytest.fixture(scope="module")
def older(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that behaves like an older one, with our CRD and nothing else."""
    with ControlPlane(
        tmp_path_factory.mktemp("older-control-plane"),
        binaries=binaries,
        emulated_version=EMULATED,
        controller_manager=False,
        crds=[mailproxy_crd()],
    ) as running:
        yield running


@pytest.fixture(scope="module")
def older_api(older: ControlPlane) -> Api:
    return Api(older.kubeconfig)


@pytest.fixture
def proxy(older_api: Api) -> Iterator[str]:
    """Name of a MailProxy without a status."""
    name = older_api.create(build_proxy())["metadata"]["name"]
    yield name
    older_api.delete("MailProxy", name, NAMESPACE)


def build_status(**changes: Any) -> Manifest:
    stamp = "2026-01-02T03:04:05Z"
    ready = {"type": "Ready", "status": "False", "reason": "EntryPointMissing"}
    rest = {"message": "add it", "observedGeneration": 1, "lastTransitionTime": stamp}
    status: Manifest = {
        "observedGeneration": 1,
        "conditions": [ready | rest],
        "edge": "traefik/traefik",
        "traefikVersion": "3.7.9",
        "proxies": [],
        "ports": [],
        "portsSummary": "4/5",
        "trustedNetworks": ["10.0.0.1/32", "10.0.0.2/32"],
        "trustedCount": 2,
    }
    return status | changes


# The rules


def test_older_server_establishes_the_crd(older_api: Api) -> None:
    version = older_api.request("GET", "/version")
    assert f"{version['emulationMajor']}.{version['emulationMinor']}" == EMULATED

    def conditions() -> dict[str, str]:
        crd = older_api.get("CustomResourceDefinition", "mailproxies.mailproxy.dev")
        return {found["type"]: found["status"] for found in crd["status"]["conditions"]}

    # It serves the kind some time before it says so.
    expected = {"NamesAccepted": "True", "Established": "True"}
    wait_for(lambda: conditions() == expected, 20, conditions)


@for_each_valid
def test_older_server_accepts_valid_example(older_api: Api, path: Path) -> None:
    assert find_server_refusal(older_api, read_example(path)) == ""


@for_each_invalid
def test_older_server_refuses_invalid_example(older_api: Api, path: Path) -> None:
    field, message = read_expectation(path)
    refusal = find_server_refusal(older_api, read_example(path))
    assert_refused_for(field, message, refusal)
    assert all(rule in refusal for rule in find_rules_saying(message))


# The table


def test_table_sums_up_the_status(older: ControlPlane, older_api: Api, proxy: str) -> None:
    older_api.patch_status("MailProxy", proxy, build_status(), NAMESPACE)
    header, row = older.run_kubectl("get", "mailproxies").stdout.splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "EDGE", "PORTS", "TRUST", "AGE"]
    assert row.split()[:-1] == ["mail", "False", "EntryPointMissing", "traefik/traefik", "4/5", "2"]
    header, row = older.run_kubectl("get", "mailproxies", "--output", "wide").stdout.splitlines()
    assert header.split()[-3:] == ["AGE", "VERSION", "MESSAGE"]
    assert row.endswith("3.7.9     add it")


def test_table_is_blank_before_the_first_status(older: ControlPlane, proxy: str) -> None:
    _, row = older.run_kubectl("get", "mailproxies").stdout.splitlines()
    assert row.split()[:-1] == [proxy]


# The status


def test_status_and_spec_are_written_separately(older_api: Api, proxy: str) -> None:
    patch = {"status": build_status(), "spec": {"suspend": True}}
    older_api.merge_patch("MailProxy", proxy, patch, NAMESPACE, subresource="status")
    patch = {"status": build_status(edge="elsewhere"), "spec": {"listeners": "Shared"}}
    stored = older_api.merge_patch("MailProxy", proxy, patch, NAMESPACE)
    assert stored["status"] == build_status()
    assert (stored["spec"]["suspend"], stored["spec"]["listeners"]) == (False, "Shared")
    assert stored["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"conditions": [{"type": "Happy"}]}, "status.conditions[0].type"),
        ({"trustedCount": "two"}, "status.trustedCount"),
        ({"trustedNetworks": ["10.0.0.1/32"] * (MAX_TRUSTED_NETWORKS + 1)}, "trustedNetworks"),
        ({"edge": "e" * 2049}, "status.edge"),
    ],
)
def test_status_that_no_operator_writes_is_refused(
    older_api: Api, proxy: str, changes: Manifest, field: str
) -> None:
    with pytest.raises(ApiStatus) as refused:
        older_api.patch_status("MailProxy", proxy, build_status(**changes), NAMESPACE)
    assert f"{field}: " in refused.value.message


def test_largest_status_is_accepted(older_api: Api, proxy: str) -> None:
    (ready,) = build_status()["conditions"]
    status = build_status(
        conditions=[ready | {"type": type_, "message": "m" * 4096} for type_ in ConditionType],
        trustedNetworks=[f"2001:db8::{number:x}/128" for number in range(MAX_TRUSTED_NETWORKS)],
    )
    assert older_api.patch_status("MailProxy", proxy, status, NAMESPACE)["status"] == status
