"""Invalid headers give no access, and the server continues to serve.

`FUZZ` is the number of random changes of valid headers for each port, `FUZZ_SEED` repeats a run.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from mailproxy.api.mail_services import MailService
from tests.cluster.scene import INSIDER
from tests.controlplane.api import wait_for
from tests.e2e import server_log
from tests.e2e.attack_load import (
    FUZZ,
    LOGINS,
    REPEAT,
    LoadResult,
    count_processes,
    find_connections,
    quick_recovery,
    run_attack_load,
)
from tests.e2e.modes import MODES, Mode, Scenes, chosen_modes, run_concurrently
from tests.e2e.relay_attempt import FOREIGN_RECIPIENT, AttackingPod, describe_all
from tests.e2e.report import Report
from tests.e2e.services import DOVECOT, POSTFIX
from tests.e2e.sessions import check_outside_client
from tests.e2e.wrong_headers import WRONG_HEADERS

# With four at once the servers are so busy that twice as many attacks time out.
CONCURRENT_LOADS = 2
SETTLE_SECONDS = 60.0
HEADER_SECONDS = 2.5  # Dovecot waits 3 s for a header, Postfix 5 s
CONNECTION_LIMIT = 50  # Postfix's default for one client
pytestmark = pytest.mark.timeout(300 + FUZZ // 4)


@dataclass(frozen=True)
class Attacked:
    """A mail server after an attack load.

    Attributes:
        insider: The attacker: a pod of the edge, without a NetworkPolicy.
        processes_before: By `count_processes`.
    """

    insider: AttackingPod
    processes_before: dict[str, int]
    load: LoadResult


@pytest.fixture(scope="module")
def attacks(
    request: pytest.FixtureRequest, standard_scenes: Scenes, report: Report
) -> Iterator[dict[Mode, Future[Attacked]]]:
    """Attack loads on servers with `quick_recovery`, until all tests of this module are done."""
    report.notes.add(f"random changes of headers: {REPEAT}")

    @contextmanager
    def run(mode: Mode) -> Iterator[Attacked]:
        scene = standard_scenes.get(mode)
        insider = AttackingPod(scene, scene.edge, INSIDER)
        with quick_recovery(insider):
            before = count_processes(insider)
            yield Attacked(insider, before, run_attack_load(insider))

    with run_concurrently(chosen_modes(request, "attacked"), run, CONCURRENT_LOADS) as attacks:
        yield attacks


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def attacked(request: pytest.FixtureRequest, attacks: dict[Mode, Future[Attacked]]) -> Attacked:
    """The attacked server of a mode."""
    return attacks[request.param].result()


@pytest.fixture
def load(attacked: Attacked) -> LoadResult:
    """The outcomes of all attacks on all ports."""
    return attacked.load


def test_no_header_relays_or_opens_a_mailbox(attacked: Attacked) -> None:
    load, insider = attacked.load, attacked.insider
    outcomes = [*load.changed, *load.silent]
    outcomes += [outcome for named in load.named.values() for outcome in named]
    succeeded = [outcome for outcome in outcomes if outcome.succeeded]
    assert not succeeded, f"{REPEAT}: {describe_all(succeeded)}"
    logins = [one.line for name in LOGINS for one in server_log.find_logins(load.log, name)]
    assert not logins, f"{REPEAT}: {logins}"
    sent = [
        one.line for one in server_log.find_sent(load.log) if one.recipient == FOREIGN_RECIPIENT
    ]
    assert not sent, f"{REPEAT}: {sent}"
    queue = insider.run_in_mail_server("mailq")
    assert f" {FOREIGN_RECIPIENT}\n" not in queue, f"{REPEAT}: {queue}"


def test_no_program_crashes(load: LoadResult, report: Report) -> None:
    """Except those that `find_header_crashes` explains."""
    crashes = server_log.find_crashes(load.log)
    assert not crashes, f"{REPEAT}: {crashes}"
    for line in server_log.find_header_crashes(load.log):
        report.notes.add(f"known crash: {line.split(': ', 1)[1]}")


def test_headers_without_a_client_are_greeted_only_for_local_and_unknown(load: LoadResult) -> None:
    wrong = []
    for services, expected in (
        (POSTFIX, [header.postfix for header in WRONG_HEADERS]),
        (DOVECOT, [header.dovecot for header in WRONG_HEADERS]),
    ):
        for service in services:
            pairs = zip(load.named[service.name], expected, strict=True)
            wrong += [outcome for outcome, greets in pairs if outcome.greeted != greets]
    assert not wrong, f"{REPEAT}: unexpectedly greeted or not greeted: {describe_all(wrong)}"


def test_most_random_headers_are_refused_and_some_are_valid(load: LoadResult) -> None:
    """The changes are neither too large nor too small to find anything."""
    greeted = sum(outcome.greeted for outcome in load.changed)
    assert 0.02 < greeted / len(load.changed) < 0.5, f"{REPEAT}: {greeted}"


def test_silent_clients_are_disconnected(load: LoadResult) -> None:
    wrong = [o for o in load.silent if o.closed != "end" or o.seconds < HEADER_SECONDS]
    assert not wrong, describe_all(wrong)


@pytest.mark.parametrize("service", POSTFIX, ids=lambda service: service.name)
def test_connection_limit_holds_for_a_client_that_a_header_claims(
    service: MailService, load: LoadResult
) -> None:
    """Its address is in `mynetworks`, which otherwise exempts it from the limit."""
    outcomes = load.single_client[service.name]
    greeted = [outcome for outcome in outcomes if outcome.greeted]
    assert len(greeted) == CONNECTION_LIMIT, describe_all(outcomes)
    rejected = [outcome for outcome in outcomes if "too many connections" in outcome.received]
    assert rejected, describe_all([outcome for outcome in outcomes if not outcome.greeted])


def test_all_ports_still_serve_clients_of_the_edge(attacked: Attacked, report: Report) -> None:
    check_outside_client(attacked.insider.scene, 0, report)


def test_no_connection_or_process_is_left(attacked: Attacked) -> None:
    insider, before = attacked.insider, attacked.processes_before
    wait_for(
        lambda: not find_connections(insider),
        SETTLE_SECONDS,
        lambda: f"{REPEAT}: {find_connections(insider)}",
    )
    last = before

    def are_gone() -> bool:
        nonlocal last
        last = count_processes(insider)
        return all(last[name] <= count for name, count in before.items())

    message = "{}: before {}, now {}".format
    wait_for(are_gone, SETTLE_SECONDS, lambda: message(REPEAT, before, last))
