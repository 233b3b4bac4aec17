from mailproxy.controller.mapping import find_neighbours
from mailproxy.controller.stored import StoredProxy, read_proxy
from mailproxy.kube.reflector import ObjectKey


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


def test_neighbours_share_an_edge_or_a_namespace_also_by_way_of_others() -> None:
    assert find_neighbours([CHAIN[0]], ALL) == {stored.key for stored in CHAIN}


def test_one_alone_on_its_edge_has_no_neighbours() -> None:
    assert find_neighbours([STRANGER], ALL) == {STRANGER.key}


def test_the_state_before_counts_as_the_state_after() -> None:
    moved = _stored("c", "one", "x")
    assert ObjectKey("c", "four") in find_neighbours([CHAIN[0], moved], ALL)
    assert ObjectKey("b", "three") in find_neighbours([CHAIN[0], moved], ALL)


def test_a_spec_that_makes_no_sense_is_nobodys_neighbour() -> None:
    metadata = {"namespace": "a", "name": "bad", "uid": "bad", "resourceVersion": "1"}
    broken = read_proxy({"metadata": metadata, "spec": {"hostname": 7}})
    assert broken.proxy is None
    assert "spec.hostname" in broken.errors
    assert find_neighbours([broken, None], {broken.key: broken}) == set()
