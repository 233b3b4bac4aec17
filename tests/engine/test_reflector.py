import pytest
from tests.engine.waiting import until
from tests.engine.watched import A, B, C, running, watching


@pytest.mark.usefixtures("filled")
async def test_the_first_list_reports_each_object_and_then_that_it_is_synced(client):
    async with running(client) as watched:
        await watched.reflector.wait_synced()
        assert watched.sizes == {"a": 1, "b": 2}
        assert watched.changes == [A, B]
        assert watched.syncs == [(True, None)]


async def test_events_add_change_and_remove_objects(filled, client):
    async with watching(filled, client) as watched:
        filled.put("c", size=3)
        filled.put("a", size=10)
        filled.remove("b")
        await until(lambda: watched.sizes == {"a": 10, "c": 3})
        assert watched.changes == [A, B, C, A, B]
        assert filled.count() == 2


async def test_selectors_and_namespace_are_the_servers_work(filled, client):
    filled.put("c", size=3, labels={"app": "mail", "tier": "edge"})
    filled.put("c", size=4, labels={"app": "mail", "tier": "edge"}, namespace="other")
    selected = {"label_selector": "app=mail,tier=edge", "field_selector": "metadata.name=c"}
    async with watching(filled, client, namespace="ns", **selected) as watched:
        assert watched.sizes == {"c": 3}
        filled.put("c", size=3, labels={"app": "mail", "tier": "back"})
        await until(lambda: watched.sizes == {})


async def test_only_a_real_change_is_reported(filled, client):
    async with watching(filled, client) as watched:
        filled.put("a", size=1, colour="not looked at")
        filled.put("b", size=3)
        await until(lambda: watched.sizes["b"] == 3)
        filled.expire_streams()
        await until(lambda: filled.count("list") == 2)
        await until(lambda: filled.streams)
        assert watched.changes == [A, B, B]


async def test_a_projection_to_none_is_an_object_too(filled, client):
    async with watching(filled, client, project=lambda _: None) as watched:
        filled.remove("b")
        await until(lambda: watched.sizes == {"a": None})
        assert watched.changes == [A, B, B]


async def test_a_stream_that_ends_cleanly_after_events_goes_on_at_once(filled, client):
    async with watching(filled, client) as watched:
        filled.put("c", size=3)
        filled.end_streams()
        filled.put("c", size=4)
        await until(lambda: watched.sizes.get("c") == 4)
        assert watched.time.waits == []
        assert filled.count("list") == 1


async def test_a_bookmark_moves_the_version_to_go_on_from(filled, client):
    async with watching(filled, client) as watched:
        filled.store.version = 500
        filled.bookmark()
        filled.end_streams()
        await until(lambda: filled.count("watch") == 2)
        assert filled.requests[-1].query["resourceVersion"] == "500"
        assert watched.changes == [A, B]
        assert watched.time.waits == []


async def test_a_watch_asks_for_bookmarks_and_ends_at_a_random_time(filled, client):
    async with watching(filled, client):
        query = filled.requests[-1].query
        assert query["allowWatchBookmarks"] == "true"
        assert 240 <= int(query["timeoutSeconds"]) <= 300


async def test_every_list_asks_for_the_newest_state(filled, client):
    async with watching(filled, client):
        filled.expire_streams()
        await until(lambda: filled.count("list") == 2)
        lists = [seen.query.get("resourceVersion") for seen in filled.requests]
        assert lists[0] is lists[2] is None


async def test_a_quiet_watch_of_full_length_is_followed_by_the_next_at_once(filled, client):
    async with watching(filled, client) as watched:
        watched.time.now += 240
        filled.end_streams()
        await until(lambda: filled.count("watch") == 2)
        assert watched.time.waits == []


async def test_an_event_of_more_than_a_mebibyte_arrives(filled, client):
    async with watching(filled, client) as watched:
        for size in (200_000, 3_000_000):
            filled.put("c", size="x" * size)
            await until(lambda size=size: len(watched.sizes.get("c", "")) == size)
        assert filled.count() == 2
