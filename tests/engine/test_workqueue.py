import asyncio

import pytest
from tests.engine.fake_loop import FakeLoop, take
from tests.engine.waiting import until

from mailproxy.engine.workqueue import QueueClosed, Result, WorkQueue, run_workers
from mailproxy.kube.errors import TransientError
from mailproxy.options import Options


def due_in(queue: WorkQueue[str], loop: FakeLoop, seconds: float) -> bool:
    """Whether the only delayed key becomes ready in so many seconds, and not before."""
    loop.advance(seconds - 0.001)
    before = len(queue)
    loop.advance(0.002)
    return (before, len(queue)) == (0, 1)


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def queue(loop: FakeLoop) -> WorkQueue[str]:
    return WorkQueue(Options(), loop, chance=lambda: 0.0)


def test_keys_come_once_and_in_order(queue):
    for key in ("b", "a", "b"):
        queue.add(key)
    assert len(queue) == 2
    assert [take(queue), take(queue)] == ["b", "a"]


def test_a_key_added_while_it_runs_runs_once_more(queue):
    queue.add("a")
    take(queue)
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert take(queue) == "a"
    queue.done("a")
    assert len(queue) == 0


def test_a_delayed_key_comes_when_it_is_due(queue, loop):
    queue.add_after("a", 5)
    assert due_in(queue, loop, 5)


def test_the_earlier_of_two_appointments_stands(queue, loop):
    queue.add_after("a", 5)
    queue.add_after("a", 3)
    queue.add_after("a", 9)
    assert due_in(queue, loop, 3)
    loop.advance(100)
    assert len(queue) == 1


def test_a_run_now_replaces_one_later(queue, loop):
    queue.add_after("a", 5)
    queue.add("a")
    assert take(queue) == "a"
    queue.done("a")
    loop.advance(100)
    assert len(queue) == 0


def test_retries_wait_twice_as_long_each_time_up_to_five_minutes(queue, loop):
    for wait in [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]:
        queue.retry("a")
        assert due_in(queue, loop, wait)
        queue.done(take(queue))


def test_retries_wait_as_long_as_the_options_say(loop):
    options = Options(retry_min_seconds=2, retry_max_seconds=5)
    queue: WorkQueue[str] = WorkQueue(options, loop, chance=lambda: 0.0)
    for wait in [2, 4, 5, 5]:
        queue.retry("a")
        assert due_in(queue, loop, wait)
        queue.done(take(queue))


def test_many_retries_do_not_overflow(queue, loop):
    for _ in range(5000):
        queue.retry("a")
        loop.advance(300)
        queue.done(take(queue))


def test_chance_lengthens_a_wait_by_at_most_half(loop):
    queue: WorkQueue[str] = WorkQueue(Options(), loop, chance=lambda: 1.0)
    queue.retry("a")
    assert due_in(queue, loop, 0.375)


def test_a_retry_waits_at_least_as_long_as_asked(queue, loop):
    queue.retry("a", at_least=7)
    assert due_in(queue, loop, 7)


def test_a_forgotten_failure_does_not_count(queue, loop):
    for _ in range(3):
        queue.retry("a")
    queue.add("a")
    queue.done(take(queue))
    queue.forget("a")
    queue.retry("a")
    assert due_in(queue, loop, 0.25)


def test_after_shutdown_no_key_comes_any_more(queue, loop):
    queue.add("a")
    queue.add("b")
    take(queue)
    queue.add("a")
    queue.add_after("c", 1)
    queue.shutdown()
    queue.done("a")
    queue.add("d")
    queue.add_after("e", 1)
    loop.advance(10)
    assert len(queue) == 0
    with pytest.raises(QueueClosed):
        take(queue)


async def test_a_getter_that_gives_up_takes_no_key_along(queue):
    getters = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    getters[0].cancel()
    assert await getters[1] == "a"


async def test_workers_end_on_shutdown_after_their_present_run(queue):
    release, handled = asyncio.Event(), []

    async def handle(key: str) -> Result:
        await release.wait()
        handled.append(key)
        return Result()

    workers = asyncio.create_task(run_workers(queue, 3, handle))
    queue.add("a")
    await until(lambda: len(queue) == 0)
    queue.shutdown()
    release.set()
    await workers
    assert handled == ["a"]


async def test_outcomes_decide_when_a_key_comes_back(queue, loop, caplog):
    outcomes = {
        "fine": Result(),
        "again": Result(requeue_after=30),
        "busy": TransientError("too many requests", retry_after=9),
        "lost": TransientError("connection lost"),
        "bug": KeyError("x"),
    }

    async def handle(key: str) -> Result:
        outcome = outcomes[key]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    workers = asyncio.create_task(run_workers(queue, 2, handle))
    for key in outcomes:
        queue.add(key)
    await until(lambda: len(queue) == 0)
    await asyncio.sleep(0)
    workers.cancel()
    await asyncio.wait([workers])

    came = []
    for seconds in (0.25, 8.75, 21):
        loop.advance(seconds)
        came.append({take(queue) for _ in range(len(queue))})
    assert came == [{"lost", "bug"}, {"busy"}, {"again"}]
    assert queue.failures == 1
    assert [record.exc_info is not None for record in caplog.records] == [False, False, True]


async def test_a_success_resets_the_wait_of_the_next_failure(queue, loop):
    outcomes: list[Exception | None] = [OSError(), OSError(), None, OSError()]
    waits = []

    async def handle(_: str) -> Result:
        if error := outcomes.pop(0):
            raise error
        return Result(requeue_after=50)

    workers = asyncio.create_task(run_workers(queue, 1, handle))
    queue.add("a")
    for left in (3, 2, 1, 0):
        await until(lambda left=left: len(outcomes) == left and loop.timers)
        timer = loop.timers[0]
        waits.append(timer.when() - loop.now)
        loop.advance(waits[-1])
    workers.cancel()
    assert waits == [0.25, 0.5, 50, 0.25]


async def test_a_run_cut_short_by_cancellation_leaves_its_key_ready(queue):
    started = asyncio.Event()

    async def handle(_: str) -> Result:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    workers = asyncio.create_task(run_workers(queue, 2, handle))
    queue.add("a")
    await started.wait()
    workers.cancel()
    await asyncio.wait([workers])
    assert take(queue) == "a"
