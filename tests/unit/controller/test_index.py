from mailproxy.api.labels import NAME_LABEL
from mailproxy.controller.index import ChildIndex
from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.observed.child import Child
from mailproxy.observed.config_map import ConfigMap
from mailproxy.observed.endpoint_slice import Endpoints
from mailproxy.observed.mail_proxy import StoredProxy, read_proxy
from mailproxy.plan.conflicts import find_neighbors


def _stored(namespace: str, name: str, edge: str) -> StoredProxy:
    metadata = {"namespace": namespace, "name": name, "uid": name, "resourceVersion": "1"}
    spec = {
        "hostname": "mail.example.com",
        "edge": {"namespace": edge},
        "mailServer": {"podSelector": {"matchLabels": {"app": name}}},
    }
    return read_proxy({"metadata": metadata, "spec": spec})


CHAIN = [_stored("a", "one", "x"), _stored("a", "two", "y"), _stored("b", "three", "y")]
STRANGER = _stored("c", "four", "z")
ALL = {stored.key: stored for stored in (*CHAIN, STRANGER)}


def test_neighbors_share_an_edge_or_a_namespace_also_by_way_of_others() -> None:
    assert find_neighbors([CHAIN[0]], ALL) == {stored.key for stored in CHAIN}


def test_one_alone_on_its_edge_has_no_neighbors() -> None:
    assert find_neighbors([STRANGER], ALL) == {STRANGER.key}


def test_the_state_before_counts_as_the_state_after() -> None:
    moved = _stored("c", "one", "x")
    assert ObjectKey("c", "four") in find_neighbors([CHAIN[0], moved], ALL)
    assert ObjectKey("b", "three") in find_neighbors([CHAIN[0], moved], ALL)


def test_an_invalid_spec_has_no_neighbors() -> None:
    metadata = {"namespace": "a", "name": "bad", "uid": "bad", "resourceVersion": "1"}
    broken = read_proxy({"metadata": metadata, "spec": {"hostname": 7}})
    assert broken.proxy is None
    assert "spec.hostname" in broken.errors
    assert find_neighbors([broken, None], {broken.key: broken}) == set()


def _child(name: str, owner: str) -> Child:
    return Child("ConfigMap", name, "uid", "1", None, ((NAME_LABEL, owner),))


def test_a_child_is_found_by_its_owner_until_it_goes() -> None:
    index, owner = ChildIndex(), ObjectKey("ns", "mail")
    key, child = ObjectKey("ns", "mail-trust"), _child("mail-trust", "mail")
    assert index.change_child(key, None, child) == {owner}
    assert index.children(owner) == {ObjectRef("ConfigMap", "mail-trust"): child}
    assert index.change_child(key, child, None) == {owner}
    assert index.children(owner) == {}


def test_a_config_map_is_found_as_the_child_that_it_is() -> None:
    index, owner = ChildIndex(), ObjectKey("ns", "mail")
    child = _child("mail-trust", "mail")
    assert index.change_child(ObjectKey("ns", "mail-trust"), None, ConfigMap(child)) == {owner}
    assert index.children(owner) == {ObjectRef("ConfigMap", "mail-trust"): child}


def test_a_child_that_changes_its_label_concerns_both_owners() -> None:
    index, key = ChildIndex(), ObjectKey("ns", "mail-trust")
    old, new = _child("mail-trust", "mail"), _child("mail-trust", "other")
    index.change_child(key, None, old)
    both = {ObjectKey("ns", "mail"), ObjectKey("ns", "other")}
    assert index.change_child(key, old, new) == both
    assert index.children(ObjectKey("ns", "mail")) == {}
    assert index.children(ObjectKey("ns", "other")) == {ObjectRef("ConfigMap", "mail-trust"): new}


def test_endpoints_are_ready_when_one_slice_is_and_unknown_without_any() -> None:
    index, owner = ChildIndex(), ObjectKey("ns", "mail")
    assert index.has_ready_endpoints(owner) is None
    index.change_endpoints(ObjectKey("ns", "v4"), None, Endpoints("mail", ready=False))
    assert index.has_ready_endpoints(owner) is False
    index.change_endpoints(ObjectKey("ns", "v6"), None, Endpoints("mail", ready=True))
    assert index.has_ready_endpoints(owner) is True
    assert index.change_endpoints(ObjectKey("ns", "x"), None, Endpoints("", ready=True)) == set()
