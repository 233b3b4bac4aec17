import asyncio
from contextlib import aclosing

import pytest
from tests.engine.fault_server import hang, hang_up, not_served, status, text
from tests.engine.waiting import until

from mailproxy.identity import Resource
from mailproxy.kube.errors import (
    ApiError,
    Conflict,
    Expired,
    FieldNotDeclared,
    Forbidden,
    NotFound,
    NotServed,
    TransientError,
    WatchStalled,
)
from mailproxy.options import Options

WIDGETS = Resource("example.dev", "v1", "widgets", "Widget")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)

UNDECLARED = (
    "failed to create typed patch object (ns/a; traefik.io/v1alpha1, Kind=IngressRouteTCP): "
    ".spec.routes[0].services[0].x: field not declared in schema"
)
TWICE = "failed to create typed patch object (ns/a; /v1, Kind=Service): .spec.ports: duplicate"


def widget(name: str = "a", **fields: object) -> dict[str, object]:
    metadata = {"name": name, "namespace": "ns"}
    return {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": metadata, **fields}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (WIDGETS.path(), "/apis/example.dev/v1/widgets"),
        (WIDGETS.path("ns"), "/apis/example.dev/v1/namespaces/ns/widgets"),
        (WIDGETS.path("ns", "a"), "/apis/example.dev/v1/namespaces/ns/widgets/a"),
        (WIDGETS.path("ns", "a", "status"), "/apis/example.dev/v1/namespaces/ns/widgets/a/status"),
        (NODES.path("ns", "n1"), "/api/v1/nodes/n1"),
    ],
)
def test_paths_name_groups_namespaces_and_subresources(path, expected):
    assert path == expected


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2fb", "a?b", "a b", "ä"])
def test_a_name_that_would_lead_elsewhere_is_refused(name):
    with pytest.raises(ValueError, match="cannot name an object"):
        WIDGETS.path("ns", name)


async def test_apply_is_a_forced_server_side_apply_in_our_name(server, client):
    applied = await client.apply(WIDGETS, widget(size=1))
    seen = server.requests[-1]
    assert seen.headers["Content-Type"] == "application/apply-patch+yaml"
    assert seen.path == "/apis/example.dev/v1/namespaces/ns/widgets/a"
    assert seen.query == {"fieldManager": "mailproxy-operator", "force": "true"}
    assert seen.body == widget(size=1)
    assert applied["metadata"]["resourceVersion"] == "11"


async def test_apply_goes_to_a_subresource_if_asked(server, client):
    await client.apply(WIDGETS, widget(), subresource="status")
    assert server.requests[-1].path.endswith("/widgets/a/status")


async def test_selectors_arrive_as_they_were_written(server, client):
    selector = "app=mail,tier in (a,b),!old,x!=1+1"
    server.fail("list", text(200, '{"metadata": {"resourceVersion": "5"}}'))
    listed = await client.list(WIDGETS, "ns", label_selector=selector)
    assert server.requests[-1].query == {"labelSelector": selector}
    assert listed == ([], "5")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(400), ApiError),
        (status(403, "cannot"), Forbidden),
        (status(404, 'namespaces "x" not found'), NotFound),
        (not_served, NotServed),
        (status(410), Expired),
        (status(422, "Invalid"), ApiError),
        (status(500, UNDECLARED), FieldNotDeclared),
        (status(500, TWICE), ApiError),
        (status(401), TransientError),
        (status(409), Conflict),
        (status(429), TransientError),
        (status(500), TransientError),
        (status(503), TransientError),
        (text(502, "bad gateway"), TransientError),
        (text(404, "no such host"), TransientError),
        (text(200, "not JSON"), TransientError),
        (hang_up, TransientError),
    ],
)
async def test_answers_become_the_error_that_tells_who_can_help(server, client, answer, expected):
    server.fail("apply", answer)
    with pytest.raises((ApiError, TransientError)) as caught:
        await client.apply(WIDGETS, widget())
    assert type(caught.value) is expected


async def test_a_refusal_carries_status_reason_and_message(server, client):
    server.fail("get", status(403, "cannot get"))
    with pytest.raises(Forbidden) as caught:
        await client.get(WIDGETS, "ns", "a")
    error = caught.value
    assert (error.status, error.reason, error.message) == (403, "R403", "cannot get")


async def test_an_undeclared_field_is_named(server, client):
    server.fail("apply", status(500, UNDECLARED))
    with pytest.raises(FieldNotDeclared) as caught:
        await client.apply(WIDGETS, widget())
    assert caught.value.field == ".spec.routes[0].services[0].x"


async def test_retry_after_is_passed_on(server, client):
    server.fail("get", status(429, retry_after=3), status(503))
    with pytest.raises(TransientError) as first:
        await client.get(WIDGETS, "ns", "a")
    with pytest.raises(TransientError) as second:
        await client.get(WIDGETS, "ns", "a")
    assert (first.value.status, first.value.retry_after) == (429, 3.0)
    assert (second.value.status, second.value.retry_after) == (503, None)


@pytest.mark.parametrize("options", [Options(request_seconds=0.05)], ids=[""])
async def test_no_request_waits_for_ever(server, client):
    server.fail("get", hang)
    with pytest.raises(TransientError, match="timed out"):
        await client.get(WIDGETS, "ns", "a")


async def test_delete_names_the_very_object_and_leaves_the_rest_to_the_collector(server, client):
    uid = server.put("a")
    assert await client.delete(WIDGETS, "ns", "a", uid=uid, resource_version="11")
    assert server.requests[-1].body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": uid, "resourceVersion": "11"},
    }
    assert server.store.objects == {}


async def test_delete_of_what_is_gone_is_no_error(server, client):
    assert not await client.delete(WIDGETS, "ns", "a", uid="u")
    server.fail("delete", not_served)
    assert not await client.delete(WIDGETS, "ns", "a", uid="u")


async def test_delete_spares_another_object_of_the_same_name(server, client):
    server.put("a")
    assert not await client.delete(WIDGETS, "ns", "a", uid="that of its predecessor")
    assert len(server.store.objects) == 1


async def test_delete_of_an_object_that_has_changed_is_a_conflict(server, client):
    uid = server.put("a")
    server.put("a", size=2)
    with pytest.raises(Conflict):
        await client.delete(WIDGETS, "ns", "a", uid=uid, resource_version="11")
    assert len(server.store.objects) == 1


async def test_create_refuses_a_name_that_is_taken(client):
    created = await client.create(WIDGETS, "ns", widget())
    assert created["metadata"]["uid"]
    with pytest.raises(Conflict):
        await client.create(WIDGETS, "ns", widget())


@pytest.mark.parametrize("options", [Options(), Options(max_writes=3)], ids=["default", "3"])
async def test_writes_are_bounded_and_reads_do_not_wait_for_them(server, client, options):
    most = options.max_writes
    server.fail("apply", hang, forever=True)
    async with asyncio.TaskGroup() as group:
        writes = [group.create_task(client.apply(WIDGETS, widget())) for _ in range(most + 5)]
        await until(lambda: server.count("apply") == most)
        await client.list(WIDGETS)
        assert server.count("apply") == most
        for write in writes:
            write.cancel()


async def test_many_watches_leave_room_for_requests(server, client):
    async def watch() -> None:
        async for _ in client.watch(WIDGETS, resource_version="10"):
            pass

    async with asyncio.TaskGroup() as group:
        watches = [group.create_task(watch()) for _ in range(120)]
        await until(lambda: len(server.streams) == 120)
        assert (await client.list(WIDGETS)).items == []
        for task in watches:
            task.cancel()
    await until(lambda: not server.streams)


async def test_a_watch_yields_events_until_the_server_ends_it(server, client):
    server.put("a")
    opened = []
    events = []
    async for event in client.watch(
        WIDGETS, resource_version="10", on_open=lambda: opened.append(len(events))
    ):
        events.append(event)
        server.end_streams()
    assert [(event.type, event.object["metadata"]["name"]) for event in events] == [("ADDED", "a")]
    assert opened == [0]


@pytest.mark.parametrize("how", ["event", "answer"])
async def test_a_watch_from_too_old_a_version_has_expired(server, client, how):
    if how == "event":
        server.forget_history()
    else:
        server.fail("watch", status(410))
    with pytest.raises(Expired):
        await anext(client.watch(WIDGETS, resource_version="10"))


async def test_a_silent_watch_has_stalled(client):
    with pytest.raises(WatchStalled):
        await anext(client.watch(WIDGETS, resource_version="10", idle_timeout=0.05))


async def test_a_watch_that_is_closed_leaves_no_connection(server, client):
    server.put("a")
    async with aclosing(client.watch(WIDGETS, resource_version="10")) as events:
        await anext(events)
    await until(lambda: not server.streams)
