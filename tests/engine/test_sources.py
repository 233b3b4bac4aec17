import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.engine.fault_server import not_served, status
from tests.engine.waiting import VirtualTime, until

from mailproxy.engine.sources import Sources, Watch
from mailproxy.identity import ObjectKey, Resource
from mailproxy.kube.client import KubeClient
from mailproxy.kube.reflector import Pace
from mailproxy.options import Options

WIDGETS = Resource("example.dev", "v1", "widgets", "Widget")
GEARS = Resource("example.dev", "v1", "gears", "Gear")

ALL = Watch(WIDGETS)
EDGE = Watch(WIDGETS, namespace="ns", label_selector="tier=edge")
OTHERS = Watch(WIDGETS, namespace="other")
A = ObjectKey("ns", "a")


class Sourced:
    """Sources that run, and whom they have triggered since the last look."""

    def __init__(self, client: KubeClient, keep_seconds: float) -> None:
        self.triggered: list[str] = []
        time = VirtualTime()
        options = Options(watch_keep_seconds=keep_seconds)
        self.sources: Sources[str] = Sources(
            client,
            {WIDGETS: lambda item: {"size": item.get("size"), **item["metadata"]["labels"]}},
            self.triggered.append,
            options,
            pace=Pace(options, time.clock, time.sleep),
        )

    async def want(self, owner: str, *watches: Watch) -> None:
        """Let an owner want watches, and wait until they have synced."""
        self.sources.want(owner, watches)
        for watch in watches:
            await self.sources.get(watch).wait_synced()

    async def outlive_unwanted(self) -> None:
        """Return when a stream that is dropped now has ended: those dropped before have, too."""
        witness = Watch(WIDGETS, label_selector="tier=witness")
        await self.want("witness", witness)
        self.sources.drop("witness")
        await until(lambda: witness not in self.sources.reflectors)

    def look(self) -> set[str]:
        triggered = set(self.triggered)
        self.triggered.clear()
        return triggered


@asynccontextmanager
async def running(client: KubeClient, keep_seconds: float = 0.01) -> AsyncIterator[Sourced]:
    sourced = Sourced(client, keep_seconds)
    task = asyncio.create_task(sourced.sources.run())
    try:
        await asyncio.sleep(0)
        yield sourced
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_two_owners_of_the_same_watch_share_a_stream(filled, client):
    async with running(client) as sourced:
        sourced.sources.want("x", [EDGE])
        await sourced.want("y", EDGE)
        await until(lambda: filled.streams)
        assert sourced.look() == {"x", "y"}
        assert sourced.sources.objects(EDGE) == {A: {"size": 1, "tier": "edge"}}
        assert filled.count() == 2


async def test_a_change_triggers_each_owner_that_wants_it_and_no_other(filled, client):
    async with running(client) as sourced:
        for owner, watches in {"x": [EDGE], "y": [EDGE, OTHERS], "z": [OTHERS]}.items():
            await sourced.want(owner, *watches)
        await until(lambda: len(filled.streams) == 2)
        sourced.look()
        filled.put("a", size=9, labels={"tier": "edge"})
        await until(lambda: len(sourced.triggered) == 2)
        assert sourced.look() == {"x", "y"}


async def test_wanting_the_same_again_costs_nothing(filled, client):
    async with running(client) as sourced:
        await sourced.want("x", EDGE, OTHERS)
        await until(lambda: len(filled.streams) == 2)
        sourced.look()
        reflector = sourced.sources.get(EDGE)
        await sourced.want("x", OTHERS, EDGE)
        assert sourced.sources.get(EDGE) is reflector
        assert sourced.look() == set()
        assert filled.count() == 4


async def test_a_stream_lives_until_its_last_owner_drops_it(filled, client):
    async with running(client) as sourced:
        await sourced.want("x", EDGE)
        await sourced.want("y", EDGE)
        await until(lambda: filled.streams)
        sourced.sources.drop("x")
        await sourced.outlive_unwanted()
        assert filled.streams
        sourced.sources.drop("y")
        await until(lambda: not filled.streams)
        assert sourced.sources.reflectors == {}
        with pytest.raises(KeyError):
            sourced.sources.get(EDGE)


async def test_a_stream_that_nobody_wants_lives_on_for_a_while(filled, client):
    async with running(client, keep_seconds=60) as sourced:
        await sourced.want("x", EDGE)
        await until(lambda: filled.streams)
        sourced.sources.drop("x")
        assert filled.streams
        filled.put("a", size=9, labels={"tier": "edge"})
        await until(lambda: sourced.sources.objects(EDGE)[A]["size"] == 9)


async def test_a_stream_dropped_and_wanted_again_goes_on(filled, client):
    async with running(client, keep_seconds=0.02) as sourced:
        await sourced.want("x", EDGE)
        await until(lambda: filled.streams)
        reflector = sourced.sources.get(EDGE)
        sourced.sources.drop("x")
        await sourced.want("y", EDGE)
        requests = filled.count()
        await sourced.outlive_unwanted()
        assert sourced.sources.get(EDGE) is reflector
        assert filled.count() == requests + 2  # of the witness alone


async def test_a_new_set_starts_what_is_new_and_ends_what_is_not_in_it(filled, client):
    async with running(client) as sourced:
        await sourced.want("x", EDGE, ALL)
        await until(lambda: len(filled.streams) == 2)
        await sourced.want("x", OTHERS, ALL)
        await until(lambda: set(sourced.sources.reflectors) == {OTHERS, ALL})
        filled.put("a", size=9, labels={"tier": "edge"})
        await until(lambda: sourced.sources.objects(ALL)[A]["size"] == 9)


async def test_what_is_wanted_before_the_start_starts_with_it(filled, client):
    sourced = Sourced(client, keep_seconds=0.01)
    sourced.sources.want("x", [EDGE, OTHERS])
    sourced.sources.want("x", [EDGE])
    task = asyncio.create_task(sourced.sources.run())
    await until(lambda: filled.streams)
    assert sourced.look() == {"x"}
    assert list(sourced.sources.reflectors) == [EDGE]
    task.cancel()
    await asyncio.wait([task])


async def test_a_follower_gets_the_values_before_and_after(filled, client):
    seen: list[tuple[Any, ...]] = []
    async with running(client) as sourced:
        await sourced.sources.follow(EDGE, lambda *change: seen.append(change)).wait_synced()
        await until(lambda: filled.streams)
        filled.put("a", size=9, labels={"tier": "edge"})
        filled.remove("a")
        await until(lambda: len(seen) == 3)
    small, big = ({"size": size, "tier": "edge"} for size in (1, 9))
    assert seen == [(A, None, small), (A, small, big), (A, big, None)]


@pytest.mark.usefixtures("filled")
async def test_a_late_follower_gets_what_is_there_already(client):
    seen: list[tuple[Any, ...]] = []
    async with running(client) as sourced:
        await sourced.want("x", EDGE)
        sourced.sources.follow(EDGE, lambda *change: seen.append(change))
        assert seen == [(A, None, {"size": 1, "tier": "edge"})]


async def test_a_followed_stream_does_not_end_with_its_owners(filled, client):
    async with running(client) as sourced:
        sourced.sources.follow(EDGE, lambda *_: None)
        await sourced.want("x", EDGE)
        await until(lambda: filled.streams)
        sourced.sources.drop("x")
        await sourced.outlive_unwanted()
        assert filled.streams


async def test_followers_and_owners_learn_when_a_kind_comes_and_goes(filled, client):
    synced = []
    filled.fail("list", not_served, forever=True)
    async with running(client) as sourced:
        reflector = sourced.sources.follow(
            ALL, lambda *_: None, on_sync=lambda: synced.append(reflector.served)
        )
        await sourced.want("x", ALL)
        assert sourced.look() == {"x"}
        filled.heal()
        await until(lambda: len(synced) == 2)
        assert synced == [False, True]
        assert "x" in sourced.look()


async def test_an_owner_learns_that_its_watch_is_forbidden_and_that_it_is_not(filled, client):
    filled.fail("list", status(403, "cannot list widgets"), forever=True)
    async with running(client) as sourced:
        sourced.sources.want("x", [OTHERS])
        await until(lambda: sourced.look() == {"x"})
        assert sourced.sources.get(OTHERS).error == "403 R403: cannot list widgets"
        filled.heal()
        await until(lambda: sourced.sources.get(OTHERS).synced)
        await until(lambda: sourced.sources.get(OTHERS).error is None)
        assert sourced.look() == {"x"}


async def test_a_kind_without_a_projection_is_refused(client):
    async with running(client) as sourced:
        with pytest.raises(KeyError):
            sourced.sources.want("x", [Watch(GEARS)])


async def test_a_crash_of_one_reflector_is_not_swallowed(filled, client):
    def crash() -> None:
        raise ZeroDivisionError

    filled.fail("list", status(403), forever=True)
    sourced = Sourced(client, keep_seconds=0.01)
    sourced.sources.follow(EDGE, lambda *_: None, on_sync=crash)
    sourced.sources.want("x", [OTHERS])
    with pytest.raises(ExceptionGroup) as caught:
        await sourced.sources.run()
    assert caught.group_contains(ZeroDivisionError)


async def test_nothing_is_left_open_after_cancellation(filled, client):
    async with running(client) as sourced:
        await sourced.want("x", EDGE, OTHERS)
        await until(lambda: len(filled.streams) == 2)
    await until(lambda: not filled.streams)
