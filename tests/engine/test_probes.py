"""Which proxy pods are probed when, what is reported, and that no probe outlives its need."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from tests.engine.waiting import until

from mailproxy.controller.probes import ProbedEdge, Prober
from mailproxy.identity import ObjectKey
from mailproxy.observed.addresses import Address
from mailproxy.options import Options
from mailproxy.plan.rollout.probe_targets import Target

KEY, OTHER = ObjectKey("mail", "mail"), ObjectKey("mail", "other")
FIRST, SECOND = ip_address("10.0.0.1"), ip_address("fd00::2")
OPTIONS = replace(Options(), max_probes=4, probe_fast_pause_seconds=0.05)


def target(address: Address, port: int = 2143) -> dict[Address, Target]:
    return {address: Target((address,), port)}


class Edge:
    """Proxy pods that answer as the test says, and what became known of them."""

    def __init__(self) -> None:
        self.answers: dict[Address, bool | Exception | None] = {}
        self.probes: list[tuple[Address, int]] = []
        self.reported: list[ObjectKey] = []
        self.now = 1000.0
        self.open = 0
        self.most_open = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.prober = Prober(self.probe, self.reported.append, OPTIONS, clock=lambda: self.now)
        self._probed: defaultdict[ObjectKey, ProbedEdge] = defaultdict(ProbedEdge)

    async def probe(self, addresses: Sequence[Address], port: int, _: float) -> bool | None:
        self.probes.append((addresses[0], port))
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

    def want(self, key: ObjectKey, targets: Mapping[Address, Target], trust_hash: str) -> None:
        """Have these targets of a MailProxy probed."""
        self.prober.want(key, self._probed[key], targets, trust_hash)

    def end(self, key: ObjectKey) -> None:
        """Have nothing of a MailProxy probed any more."""
        self._probed[key].end()

    def accepted(self, key: ObjectKey = KEY) -> Mapping[Address, bool]:
        """What is known of the proxy pods of a MailProxy."""
        return self._probed[key].header_accepted

    async def next_probe(self) -> None:
        """Wait until one more probe has begun and ended."""
        count = len(self.probes)
        await until(lambda: len(self.probes) > count and not self.open)


@asynccontextmanager
async def probing() -> AsyncIterator[Edge]:
    edge = Edge()
    task = asyncio.create_task(edge.prober.run())
    try:
        yield edge
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert edge.open == 0


async def test_what_is_known_is_reported_once_and_only_for_its_mail_proxy() -> None:
    async with probing() as edge:
        edge.answers = {FIRST: True, SECOND: None}
        edge.want(KEY, target(FIRST) | target(SECOND), "a")
        await until(lambda: edge.reported)
        assert edge.accepted() == {FIRST: True}
        for trust_hash in "bcd":  # each has them probed again
            edge.want(KEY, target(FIRST) | target(SECOND), trust_hash)
            await edge.next_probe()
        assert edge.reported == [KEY]
        assert edge.accepted(OTHER) == {}


async def test_rejected_header_is_reported_after_a_grace_and_an_accepted_one_at_once() -> None:
    async with probing() as edge:
        edge.answers[FIRST] = False
        edge.want(KEY, target(FIRST), "a")
        await edge.next_probe()
        assert edge.accepted() == {}
        edge.now += OPTIONS.probe_grace_seconds
        await until(lambda: edge.reported)
        assert edge.accepted() == {FIRST: False}
        edge.answers[FIRST] = True
        await until(lambda: len(edge.reported) == 2)
        assert edge.accepted() == {FIRST: True}


async def test_changed_list_has_a_pod_probed_at_once_that_would_be_probed_minutes_later() -> None:
    async with probing() as edge:
        edge.answers[FIRST] = True
        edge.want(KEY, target(FIRST), "a")
        await until(lambda: edge.reported)
        edge.want(KEY, target(FIRST), "a")
        edge.want(KEY, target(FIRST), "b")
        await edge.next_probe()
        assert len(edge.probes) == 2


async def test_new_address_or_port_is_another_pod() -> None:
    async with probing() as edge:
        edge.answers = {FIRST: True}
        edge.want(KEY, target(FIRST), "a")
        await until(lambda: edge.reported)
        edge.want(KEY, target(SECOND), "a")
        await until(lambda: (SECOND, 2143) in edge.probes)
        assert edge.accepted() == {}
        edge.answers[SECOND] = True
        await until(lambda: len(edge.reported) == 2)
        edge.gate.clear()
        edge.want(KEY, target(SECOND, 2110), "a")
        assert edge.accepted() == {}


async def test_pods_are_not_probed_any_more_once_they_are_not_wanted() -> None:
    async with probing() as edge:
        edge.gate.clear()
        edge.want(KEY, target(FIRST), "a")
        edge.want(OTHER, target(FIRST), "a")
        await until(lambda: edge.open == 2)
        edge.end(KEY)
        await until(lambda: edge.open == 1)
        edge.want(OTHER, {}, "a")
        await until(lambda: edge.open == 0)


async def test_pods_that_were_wanted_before_the_start_are_probed() -> None:
    edge = Edge()
    edge.answers = {FIRST: True, SECOND: True}
    edge.want(KEY, target(FIRST), "a")
    edge.want(OTHER, target(SECOND), "a")
    edge.end(OTHER)
    task = asyncio.create_task(edge.prober.run())
    await until(lambda: edge.reported)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert edge.probes == [(FIRST, 2143)]


async def test_many_pods_are_probed_a_few_at_a_time() -> None:
    async with probing() as edge:
        edge.gate.clear()
        most = OPTIONS.max_probes
        addresses = [ip_address(f"10.0.1.{number}") for number in range(3 * most)]
        edge.answers = dict.fromkeys(addresses, True)
        edge.want(KEY, {a: Target((a,), 2143) for a in addresses}, "a")
        await until(lambda: edge.open == most)
        edge.gate.set()
        await until(lambda: len(edge.accepted()) == len(addresses))
        assert edge.most_open == most


async def test_bug_in_a_probe_ends_neither_the_operator_nor_the_probes(caplog: Any) -> None:
    async with probing() as edge:
        edge.answers[FIRST] = ValueError("a bug")
        edge.want(KEY, target(FIRST), "a")
        await edge.next_probe()
        edge.answers[FIRST] = True
        await until(lambda: edge.reported)
        assert "a bug" in caplog.text
