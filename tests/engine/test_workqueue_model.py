import asyncio
import logging
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.engine.fake_loop import FakeLoop, take
from tests.engine.waiting import until

from mailproxy.engine.workqueue import Result, WorkQueue, run_workers
from mailproxy.kube.errors import TransientError
from mailproxy.options import Options


class AgainstAModel(RuleBasedStateMachine):
    """The queue beside the plainest thing that does the same."""

    keys = st.sampled_from("abc")
    seconds = st.sampled_from([0.1, 1.0, 5.0])

    def __init__(self) -> None:
        super().__init__()
        self.loop = FakeLoop()
        self.queue: WorkQueue[str] = WorkQueue(Options(), self.loop, chance=lambda: 0.0)
        self.ready: list[str] = []
        self.running: dict[str, bool] = {}
        self.due: dict[str, float] = {}

    @rule(key=keys)
    def add(self, key):
        self.queue.add(key)
        self.model_add(key)

    def model_add(self, key):
        self.due.pop(key, None)
        if key in self.running:
            self.running[key] = True
        elif key not in self.ready:
            self.ready.append(key)

    @rule(key=keys, seconds=seconds)
    def add_after(self, key, seconds):
        self.queue.add_after(key, seconds)
        due = self.loop.now + seconds
        if key not in self.ready and due < self.due.get(key, 1e9):
            self.due.pop(key, None)  # of two that are due together, the one asked for last is last
            self.due[key] = due

    @rule(seconds=seconds)
    def advance(self, seconds):
        self.loop.advance(seconds)
        for key in sorted(self.due, key=self.due.__getitem__):
            if self.due[key] <= self.loop.now:
                self.model_add(key)

    @precondition(lambda self: self.ready)
    @rule()
    def take(self):
        key = take(self.queue)
        assert key not in self.running, "two workers with one key"
        assert key == self.ready.pop(0)
        self.running[key] = False

    @precondition(lambda self: self.running)
    @rule(data=st.data(), retry=st.booleans())
    def done(self, data, retry):
        key = data.draw(st.sampled_from(sorted(self.running)))
        if retry:
            self.add_after(key, 5.0)
        self.queue.done(key)
        if self.running.pop(key):
            self.model_add(key)

    @invariant()
    def as_many_are_ready(self):
        assert len(self.queue) == len(self.ready)

    def teardown(self):
        for key in list(self.running):
            self.queue.done(key)
            if self.running.pop(key):
                self.model_add(key)
        owed = {*self.ready, *self.due}
        self.loop.advance(100)
        assert {take(self.queue) for _ in range(len(self.queue))} == owed, "a key was lost"


AgainstAModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAgainstAModel = AgainstAModel.TestCase


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_every_change_is_seen_by_a_run_that_started_after_it(seed):
    logging.disable()
    try:
        asyncio.run(_change_at_random(random.Random(seed)))
    finally:
        logging.disable(logging.NOTSET)


async def _change_at_random(chance: random.Random) -> None:
    queue: WorkQueue[int] = WorkQueue(Options(), chance=lambda: 0.0)
    changed: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    running: set[int] = set()

    async def handle(key: int) -> Result:
        assert key not in running
        running.add(key)
        seen[key] = changed[key]
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        running.remove(key)
        if chance.random() < 0.1:
            raise TransientError("lost")
        return Result(requeue_after=0.001 if chance.random() < 0.2 else None)

    workers = asyncio.create_task(run_workers(queue, 4, handle))
    for _ in range(200):
        key = chance.randrange(6)
        changed[key] += 1
        queue.add(key)
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    await until(lambda: seen == changed)
    queue.shutdown()
    await workers
