"""Who is looked at when, what of it is told, and that nothing goes on when nobody wants to know."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

from tests.engine.waiting import until

from mailproxy.controller.probes import MAX_PROBES, Beliefs
from mailproxy.object_key import ObjectKey
from mailproxy.observed.addresses import Address
from mailproxy.plan.rollout.probe_state import GRACE_SECONDS
from mailproxy.plan.rollout.probe_targets import Target

KEY, OTHER = ObjectKey("mail", "mail"), ObjectKey("mail", "other")
FIRST, SECOND = ip_address("10.0.0.1"), ip_address("fd00::2")


def target(address: Address, port: int = 2143) -> dict[Address, Target]:
    return {address: Target((address,), port)}


class Edge:
    """Proxy pods that answer as the test says, and what became known of them."""

    def __init__(self) -> None:
        self.answers: dict[Address, bool | None] = {}
        self.tries: list[tuple[Address, int]] = []
        self.told: list[ObjectKey] = []
        self.now = 1000.0
        self.open = 0
        self.most_open = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.beliefs = Beliefs(self.probe, self.told.append, clock=lambda: self.now)

    async def probe(self, addresses: Sequence[Address], port: int, _: float) -> bool | None:
        self.tries.append((addresses[0], port))
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            await self.gate.wait()
        finally:
            self.open -= 1
        answer = self.answers.get(addresses[0])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def next_try(self) -> None:
        """Wait until somebody has been tried once more and that is over."""
        count = len(self.tries)
        await until(lambda: len(self.tries) > count and not self.open)


@asynccontextmanager
async def watching() -> AsyncIterator[Edge]:
    edge = Edge()
    task = asyncio.create_task(edge.beliefs.run())
    try:
        yield edge
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert edge.open == 0


async def test_what_is_known_is_told_once_and_only_to_those_who_asked() -> None:
    async with watching() as edge:
        edge.answers = {FIRST: True, SECOND: None}
        edge.beliefs.want(KEY, target(FIRST) | target(SECOND), "a")
        await until(lambda: edge.told)
        assert edge.beliefs.find(KEY) == {FIRST: True}
        for trust_hash in "bcd":  # each makes them be tried anew
            edge.beliefs.want(KEY, target(FIRST) | target(SECOND), trust_hash)
            await edge.next_try()
        assert edge.told == [KEY]
        assert edge.beliefs.find(OTHER) == {}


async def test_refused_pod_is_tried_again_until_that_is_told_and_then_it_is_believed() -> None:
    async with watching() as edge:
        edge.answers[FIRST] = False
        edge.beliefs.want(KEY, target(FIRST), "a")
        await edge.next_try()
        assert edge.beliefs.find(KEY) == {}
        edge.now += GRACE_SECONDS
        await until(lambda: edge.told)
        assert edge.beliefs.find(KEY) == {FIRST: False}
        edge.answers[FIRST] = True
        await until(lambda: len(edge.told) == 2)
        assert edge.beliefs.find(KEY) == {FIRST: True}


async def test_changed_list_hurries_a_try_that_would_come_minutes_later() -> None:
    async with watching() as edge:
        edge.answers[FIRST] = True
        edge.beliefs.want(KEY, target(FIRST), "a")
        await until(lambda: edge.told)
        edge.beliefs.want(KEY, target(FIRST), "a")
        edge.beliefs.want(KEY, target(FIRST), "b")
        await edge.next_try()
        assert len(edge.tries) == 2


async def test_new_address_or_port_is_another_pod() -> None:
    async with watching() as edge:
        edge.answers = {FIRST: True}
        edge.beliefs.want(KEY, target(FIRST), "a")
        await until(lambda: edge.told)
        edge.beliefs.want(KEY, target(SECOND), "a")
        await until(lambda: (SECOND, 2143) in edge.tries)
        assert edge.beliefs.find(KEY) == {}
        edge.answers[SECOND] = True
        await until(lambda: len(edge.told) == 2)
        edge.gate.clear()
        edge.beliefs.want(KEY, target(SECOND, 2110), "a")
        assert edge.beliefs.find(KEY) == {}


async def test_nobody_is_tried_any_more_when_nobody_wants_to_know() -> None:
    async with watching() as edge:
        edge.gate.clear()
        edge.beliefs.want(KEY, target(FIRST), "a")
        edge.beliefs.want(OTHER, target(FIRST), "a")
        await until(lambda: edge.open == 2)
        edge.beliefs.drop(KEY)
        await until(lambda: edge.open == 1)
        edge.beliefs.want(OTHER, {}, "a")
        await until(lambda: edge.open == 0)


async def test_wishes_from_before_the_start_are_fulfilled() -> None:
    edge = Edge()
    edge.answers[FIRST] = True
    edge.beliefs.want(KEY, target(FIRST), "a")
    task = asyncio.create_task(edge.beliefs.run())
    await until(lambda: edge.told)
    task.cancel()


async def test_many_pods_are_tried_a_few_at_a_time() -> None:
    async with watching() as edge:
        edge.gate.clear()
        addresses = [ip_address(f"10.0.1.{number}") for number in range(3 * MAX_PROBES)]
        edge.answers = dict.fromkeys(addresses, True)
        edge.beliefs.want(KEY, {a: Target((a,), 2143) for a in addresses}, "a")
        await until(lambda: edge.open == MAX_PROBES)
        edge.gate.set()
        await until(lambda: len(edge.beliefs.find(KEY)) == len(addresses))
        assert edge.most_open == MAX_PROBES


async def test_bug_in_a_probe_ends_neither_the_operator_nor_the_probes(caplog: Any) -> None:
    async with watching() as edge:
        edge.answers[FIRST] = ValueError("a bug")  # type: ignore[assignment]
        edge.beliefs.want(KEY, target(FIRST), "a")
        await edge.next_try()
        edge.answers[FIRST] = True
        await until(lambda: edge.told)
        assert "a bug" in caplog.text
