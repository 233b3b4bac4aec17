import pytest
from tests.engine.fault_server import empty_stream, hang, hang_up, not_served, status, text
from tests.engine.waiting import until
from tests.engine.watched import A, B, C, running, watching

from mailproxy.options import Options

TOO_LARGE = status(504, "Too large resource version", retry_after=1)


async def test_a_deletion_missed_while_the_server_was_away_is_found_by_the_list(filled, client):
    async with watching(filled, client) as watched:
        filled.fail("watch", hang_up, forever=True)
        filled.cut_streams()
        await until(lambda: filled.count("watch") > 2)
        filled.remove("b")
        filled.put("c", size=3)
        filled.forget_history()
        filled.heal()
        await until(lambda: watched.sizes == {"a": 1, "c": 3})
        assert watched.changes == [A, B, B, C]


@pytest.mark.parametrize("verbs", [["watch"], ["watch", "list"]])
async def test_410_as_an_answer_leads_to_a_new_list_that_finds_deletions(filled, client, verbs):
    async with watching(filled, client) as watched:
        for verb in verbs:
            filled.fail(verb, status(410, "too old resource version"))
        filled.end_streams()
        filled.remove("b")
        await until(lambda: watched.sizes == {"a": 1})
        assert filled.count("list") == 1 + len(verbs)


async def test_410_as_an_event_leads_to_a_new_list_that_finds_deletions(filled, client):
    async with watching(filled, client) as watched:
        filled.expire_streams()
        filled.remove("a")
        await until(lambda: watched.sizes == {"b": 2})
        assert filled.count("list") == 2
        assert watched.reflector.error is None


async def test_a_stream_cut_within_an_event_goes_on_where_it_was(filled, client):
    async with watching(filled, client) as watched:
        filled.cut_streams()
        filled.remove("b")
        await until(lambda: watched.sizes == {"a": 1})
        assert filled.count("list") == 1
        assert watched.syncs == [(True, None)]


async def test_a_half_open_stream_leads_to_a_new_list(filled, client):
    options = Options(watch_idle_seconds=0.1)
    async with watching(filled, client, options=options) as watched:
        filled.stall_streams()
        filled.remove("b")
        await until(lambda: watched.sizes == {"a": 1})
        assert filled.count("list") >= 2


async def test_429_is_obeyed_and_the_watch_goes_on_where_it_was(filled, client):
    async with watching(filled, client) as watched:
        filled.fail("watch", status(429, "storage is (re)initializing", retry_after=7))
        filled.put("c", size=3)
        filled.end_streams()
        filled.remove("b")
        await until(lambda: watched.sizes == {"a": 1, "c": 3})
        assert [wait for wait in watched.time.waits if 7 < wait < 7.5]
        assert filled.count("list") == 1


async def test_a_server_ahead_of_its_cache_is_asked_again_after_its_own_wait(filled, client):
    filled.fail("list", TOO_LARGE)
    async with running(client) as watched:
        await watched.reflector.wait_synced()
        assert 1 < watched.time.waits[0] < 1.5


async def test_server_errors_back_off_are_reported_once_they_repeat_and_heal(filled, client):
    async with watching(filled, client) as watched:
        filled.fail("watch", status(500, "etcd is away"), forever=True)
        filled.end_streams()
        await until(lambda: watched.time.now > 1300)
        assert filled.count() < 40
        assert "etcd is away" in watched.reflector.error
        filled.heal()
        await until(lambda: watched.reflector.error is None)
        assert [error for _, error in watched.syncs] == [None, "500 R500: etcd is away", None]
        for count, wait in enumerate(watched.time.waits):
            assert min(0.1 * 2**count, 15) <= wait <= min(0.2 * 2**count, 30)


async def test_a_failure_after_an_event_waits_the_shortest_time_again(filled, client):
    async with watching(filled, client) as watched:
        filled.fail("watch", *[status(500)] * 8)
        filled.end_streams()
        await until(lambda: filled.count("watch") == 10)
        assert watched.time.waits[-1] > 5
        filled.put("c", size=3)
        filled.cut_streams()
        await until(lambda: filled.count("watch") == 11)
        assert watched.time.waits[-1] <= 0.2


async def test_an_error_event_backs_off_and_keeps_the_version(filled, client):
    async with watching(filled, client) as watched:
        filled.send("ERROR", {"kind": "Status", "code": 500, "message": "etcd is away"})
        filled.remove("b")
        await until(lambda: watched.sizes == {"a": 1})
        assert filled.count("list") == 1


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize("options", [Options(request_seconds=0.2)], ids=[""])
async def test_a_server_that_does_not_answer_is_asked_again(filled, client, verb):
    filled.fail(verb, hang)
    async with watching(filled, client) as watched:
        filled.put("c", size=3)
        await until(lambda: watched.sizes == {"a": 1, "b": 2, "c": 3})


async def test_a_kind_that_is_not_served_counts_as_synced_and_empty(filled, client):
    filled.fail("list", not_served, forever=True)
    async with running(client) as watched:
        await watched.reflector.wait_synced()
        assert watched.syncs == [(False, None)]
        filled.heal()
        await until(lambda: watched.sizes == {"a": 1, "b": 2})
        assert watched.syncs == [(False, None), (True, None)]


async def test_when_a_kind_goes_all_its_objects_go(filled, client):
    async with watching(filled, client) as watched:
        filled.fail("list", not_served, forever=True)
        filled.fail("watch", not_served, forever=True)
        filled.end_streams()
        await until(lambda: not watched.reflector.served)
        assert watched.sizes == {}
        assert watched.changes == [A, B, A, B]


async def test_a_404_of_some_proxy_empties_nothing(filled, client):
    async with watching(filled, client) as watched:
        filled.fail("list", text(404, "<h1>no such host</h1>"), forever=True)
        filled.expire_streams()
        await until(lambda: watched.reflector.error)
        assert watched.sizes == {"a": 1, "b": 2}
        assert "no such host" in watched.reflector.error


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_a_missing_right_is_reported_at_once_and_heals_when_granted(filled, client, verb):
    filled.fail(verb, status(403, 'cannot list resource "widgets"'), forever=True)
    async with running(client) as watched:
        await until(lambda: filled.count(verb) > 3)
        assert watched.reflector.error == '403 R403: cannot list resource "widgets"'
        assert watched.reflector.synced == (verb == "watch")
        filled.heal()
        await until(lambda: watched.reflector.error is None)
        assert watched.sizes == {"a": 1, "b": 2}


async def test_an_object_that_cannot_be_projected_is_reported_and_heals(filled, client):
    async with watching(filled, client) as watched:
        filled.put("b")  # without a size
        await until(lambda: watched.reflector.error == "'size'")
        assert watched.sizes == {"a": 1, "b": 2}
        filled.put("b", size=3)
        await until(lambda: watched.sizes == {"a": 1, "b": 3})
        await until(lambda: watched.reflector.error is None)


@pytest.mark.parametrize(
    ("verb", "fault"),
    [
        ("list", status(500)),
        ("list", status(403)),
        ("list", status(410)),
        ("list", status(429)),
        ("list", text(200, "not JSON")),
        ("list", hang_up),
        ("list", not_served),
        ("list", TOO_LARGE),
        ("watch", status(500)),
        ("watch", status(403)),
        ("watch", status(410)),
        ("watch", status(429)),
        ("watch", text(200, "not JSON")),
        ("watch", hang_up),
        ("watch", not_served),
        ("watch", empty_stream),
    ],
)
async def test_no_fault_makes_a_busy_loop_and_each_heals(filled, client, verb, fault):
    filled.fail(verb, fault, forever=True)
    async with running(client) as watched:
        await until(lambda: watched.time.now > 1600 or filled.count() > 1000)
        # Once they have grown, waits are 15 s or more (2.5 s for "not served"), for two requests.
        wait = 2.5 if fault is not_served else 15
        assert filled.count() < (watched.time.now - 1000) / wait * 2 + 20
        assert max(watched.time.waits) <= 31
        filled.heal()
        filled.put("c", size=3)
        await until(lambda: watched.sizes == {"a": 1, "b": 2, "c": 3})
        await until(lambda: watched.reflector.error is None)
