"""The real API server stores golden children as they are, and a second apply changes nothing."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.controlplane.api import Api, ApiStatus, Manifest
from tests.integration.cluster import Cluster
from tests.unit.worlds import GOLDEN_NAMES, read_documents

MANAGER = "mailproxy-operator"


@pytest.fixture(autouse=True)
def _no_operator(shared_cluster: Cluster) -> None:
    """The test alone applies."""
    shared_cluster.operator.stop()


@pytest.fixture
def owner(api: Api, namespace: str, name: str) -> Manifest:
    """The case's MailProxy in the test's namespace: it keeps its children from being collected."""
    manifest, *_ = read_documents(name, "input.yaml")
    metadata = {"name": manifest["metadata"]["name"], "namespace": namespace}
    return api.create(manifest | {"metadata": metadata})


@pytest.fixture
def children(owner: Manifest, name: str) -> list[Manifest]:
    """The case's children, as those of `owner`."""
    found = read_documents(name, "children.yaml")
    for child in found:
        child["metadata"]["namespace"] = owner["metadata"]["namespace"]
        for reference in child["metadata"]["ownerReferences"]:
            reference["uid"] = owner["metadata"]["uid"]
    return found


@pytest.fixture
def spare_node(api: Api, namespace: str) -> Iterator[str]:
    """A node of this test alone."""
    api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": namespace}})
    yield namespace
    api.delete("Node", namespace)


def apply(api: Api, child: Manifest) -> Manifest:
    return api.apply(copy.deepcopy(child), field_manager=MANAGER)


def version(stored: Manifest) -> tuple[str, str]:
    return stored["metadata"]["uid"], stored["metadata"]["resourceVersion"]


def missing(sent: Any, stored: Any, path: str = "") -> list[str]:
    """Paths of what was sent and is not stored like that; the server may add to maps, not to lists.

    An empty list is as good as none: the server drops it.
    """
    if isinstance(sent, dict) and isinstance(stored, dict):
        return [
            found
            for key, value in sent.items()
            if value != [] or stored.get(key, [])
            for found in missing(value, stored.get(key), f"{path}.{key}")
        ]
    if isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        return [
            found
            for index, value in enumerate(sent)
            for found in missing(value, stored[index], f"{path}[{index}]")
        ]
    return [] if sent == stored else [f"{path}: sent {sent!r}, stored {stored!r}"]


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_second_apply_of_every_child_changes_nothing(api: Api, children: list[Manifest]) -> None:
    first = [apply(api, child) for child in children]
    for child, stored in zip(children, first, strict=True):
        assert version(apply(api, child)) == version(stored), child["kind"]
    assert [version(apply(api, child)) for child in children] == [version(s) for s in first]


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_children_are_stored_as_they_were_sent(api: Api, children: list[Manifest]) -> None:
    for child in children:
        assert missing(child, apply(api, child)) == []


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_second_apply_of_the_status_changes_nothing(api: Api, owner: Manifest, name: str) -> None:
    (status,) = read_documents(name, "status.yaml")
    manifest = {key: owner[key] for key in ("apiVersion", "kind")} | {
        "metadata": {key: owner["metadata"][key] for key in ("name", "namespace")},
        "status": status,
    }
    first, second = (
        api.apply(manifest, field_manager=MANAGER, subresource="status") for _ in range(2)
    )
    assert version(second) == version(first)
    assert first["status"] == status


@pytest.mark.parametrize("name", ["default-dual-stack"])
def test_apply_closes_a_proxy_service_that_was_opened_to_the_outside(
    api: Api, children: list[Manifest], namespace: str
) -> None:
    (service,) = (child for child in children if child["kind"] == "Service")
    apply(api, service)
    opened = {"spec": {"type": "LoadBalancer", "externalIPs": ["198.51.100.7"]}}
    api.merge_patch("Service", service["metadata"]["name"], opened, namespace)
    stored = apply(api, service)
    assert stored["spec"]["type"] == "ClusterIP"
    assert "externalIPs" not in stored["spec"]


def test_api_server_accepts_any_text_as_a_nodes_address(api: Api, spare_node: str) -> None:
    """The reason why an address with a zone is not trusted: its text would reach Dovecot."""
    text = "fe80::1%x\nauth_mechanisms = anonymous #"
    status = {"addresses": [{"type": "InternalIP", "address": text}]}
    api.patch_status("Node", spare_node, status)
    assert api.get("Node", spare_node)["status"]["addresses"][0]["address"] == text


def test_api_server_accepts_a_node_whose_pods_have_all_addresses(api: Api, namespace: str) -> None:
    """The reason why a node's networks are held to the rules for the user's."""
    spec = {"podCIDR": "0.0.0.0/0", "podCIDRs": ["0.0.0.0/0"]}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": namespace}, "spec": spec}
    try:
        assert api.create(node)["spec"].items() >= spec.items()
    finally:
        api.delete("Node", namespace)


def test_api_server_refuses_one_port_name_twice(api: Api, namespace: str) -> None:
    """The reason why `mail-submissions` is not suggested: the chart cuts names to 15 characters."""
    ports = [{"name": "mail-submission", "port": port} for port in (587, 465)]
    metadata = {"name": "traefik", "namespace": namespace}
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    with pytest.raises(ApiStatus, match="Duplicate value"):
        api.create(manifest | {"spec": {"ports": ports}})
