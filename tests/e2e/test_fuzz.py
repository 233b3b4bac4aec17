"""Whatever is sent in place of a header: nobody gets in by it, and the server goes on serving.

`FUZZ` says how many random changes of valid headers each port gets, `FUZZ_SEED` repeats a run.
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
    CROWD,
    FUZZ,
    LOGINS,
    REPEAT,
    Storm,
    brew_storm,
    count_processes,
    find_connections,
    quick_recovery,
)
from tests.e2e.modes import MODES, Mode, Scenes, chosen_modes, side_by_side
from tests.e2e.relay_attempt import VICTIM, Intruder, describe_all
from tests.e2e.report import Report
from tests.e2e.services import DOVECOT, POSTFIX
from tests.e2e.sessions import prove_outside_client
from tests.e2e.wrong_headers import WRONG_HEADERS

# With four at once the servers are so busy that twice as many attacks are given up.
STORMS_AT_ONCE = 2
SETTLE_SECONDS = 15.0
HEADER_SECONDS = 2.5  # Dovecot waits 3 s for a header, Postfix 5 s
CONNECTION_LIMIT = 50  # Postfix's default for one client
pytestmark = pytest.mark.timeout(300 + FUZZ // 4)


@dataclass(frozen=True)
class Attacked:
    """A mail server that has borne a storm.

    Attributes:
        insider: Who brewed it: a pod of the edge, without a NetworkPolicy in its way.
        processes_before: By `count_processes`.
    """

    insider: Intruder
    processes_before: dict[str, int]
    storm: Storm


@pytest.fixture(scope="module")
def attacks(
    request: pytest.FixtureRequest, standard_scenes: Scenes, report: Report
) -> Iterator[dict[Mode, Future[Attacked]]]:
    """Storms on servers that are quick to recover, until all tests of this module are over."""
    report.notes.add(f"random changes of headers: {REPEAT}")

    @contextmanager
    def play(mode: Mode) -> Iterator[Attacked]:
        scene = standard_scenes.get(mode)
        insider = Intruder(scene, scene.edge, INSIDER)
        with quick_recovery(insider):
            before = count_processes(insider)
            yield Attacked(insider, before, brew_storm(insider))

    with side_by_side(chosen_modes(request, "attacked"), play, STORMS_AT_ONCE) as attacks:
        yield attacks


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def attacked(request: pytest.FixtureRequest, attacks: dict[Mode, Future[Attacked]]) -> Attacked:
    """One of them."""
    return attacks[request.param].result()


@pytest.fixture
def storm(attacked: Attacked) -> Storm:
    """What came of all attacks on all ports."""
    return attacked.storm


def test_no_header_relays_or_opens_a_mailbox(attacked: Attacked) -> None:
    storm, insider = attacked.storm, attacked.insider
    outcomes = [*storm.changed, *storm.silent]
    outcomes += [outcome for named in storm.named.values() for outcome in named]
    broken_in = [outcome for outcome in outcomes if outcome.succeeded]
    assert not broken_in, f"{REPEAT}: {describe_all(broken_in)}"
    logins = [one.line for name in LOGINS for one in server_log.find_logins(storm.log, name)]
    assert not logins, f"{REPEAT}: {logins}"
    sent = [one.line for one in server_log.find_sent(storm.log) if one.recipient == VICTIM]
    assert not sent, f"{REPEAT}: {sent}"
    queue = insider.run_in_mail_server("mailq")
    assert f" {VICTIM}\n" not in queue, f"{REPEAT}: {queue}"


def test_no_program_crashes(storm: Storm, report: Report) -> None:
    """But for those that `find_header_crashes` explains."""
    crashes = server_log.find_crashes(storm.log)
    assert not crashes, f"{REPEAT}: {crashes}"
    for line in server_log.find_header_crashes(storm.log):
        report.notes.add(f"known crash: {line.split(': ', 1)[1]}")


def test_those_without_a_client_are_greeted_only_for_local_and_unknown(storm: Storm) -> None:
    wrong = []
    for services, expected in (
        (POSTFIX, [header.postfix for header in WRONG_HEADERS]),
        (DOVECOT, [header.dovecot for header in WRONG_HEADERS]),
    ):
        for service in services:
            pairs = zip(storm.named[service.name], expected, strict=True)
            wrong += [outcome for outcome, greets in pairs if outcome.greeted != greets]
    assert not wrong, (
        f"{REPEAT}: greeted, or not greeted, against expectation: {describe_all(wrong)}"
    )


def test_most_random_headers_are_refused_and_some_are_valid(storm: Storm) -> None:
    """So the changes are neither too wild nor too tame to find anything."""
    greeted = sum(outcome.greeted for outcome in storm.changed)
    assert 0.02 < greeted / len(storm.changed) < 0.5, f"{REPEAT}: {greeted}"


def test_silent_clients_are_not_waited_for(storm: Storm) -> None:
    wrong = [o for o in storm.silent if o.closed != "end" or o.seconds < HEADER_SECONDS]
    assert not wrong, describe_all(wrong)


@pytest.mark.parametrize("service", POSTFIX, ids=lambda service: service.name)
def test_limit_of_connections_holds_for_a_client_that_a_header_claims(
    service: MailService, storm: Storm
) -> None:
    """Its address is in `mynetworks`, and those who may relay have no limit."""
    crowd = storm.crowd[service.name]
    greeted = [outcome for outcome in crowd if outcome.greeted]
    assert len(greeted) == CONNECTION_LIMIT, describe_all(crowd)
    reasons = storm.log.count("too many connections")
    assert reasons >= CROWD - CONNECTION_LIMIT, "\n".join(storm.log.splitlines()[-50:])


def test_all_ports_still_serve_clients_of_the_edge(attacked: Attacked, report: Report) -> None:
    prove_outside_client(attacked.insider.scene, 0, report)


def test_no_connection_and_no_process_is_left(attacked: Attacked) -> None:
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
