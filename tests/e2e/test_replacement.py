"""The running mail server follows the edge while its pods are replaced and clients use it.

With a dual-stack edge and an IPv6-only one. `REPLACEMENTS` is the number of replaced pods for each
mail server, `DOWNTIME_SECONDS` the downtime of the operator; the report has the times.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

import pytest

from tests.cluster.scene import SETTLE_SECONDS
from tests.controlplane.api import wait_for
from tests.e2e.client_load import ClientLoad, IdleSession
from tests.e2e.modes import MODES, REPLICA_MODES, Mode, Scenes, chosen_modes
from tests.e2e.operator_downtime import (
    check_trust_is_unchanged,
    operator_down,
    replace_edge_pod,
)
from tests.e2e.replacement import (
    IMAP,
    REPLACEMENTS,
    Times,
    addresses_of,
    find_edge_pods,
    find_rejection,
    kill_sandbox,
    read_greeting,
    read_reloads,
    replace_often,
    time_first_login,
)
from tests.e2e.report import Report
from tests.e2e.server_log import Interval
from tests.e2e.trust_latency import TrustLatency

DOWNTIME_SECONDS = float(os.environ.get("DOWNTIME_SECONDS", "0"))  # beyond the test's own
NETWORKS = {"dual-stack": "replica_scenes", "IPv6-only": "ipv6_scenes"}  # the fixture of each
pytestmark = pytest.mark.timeout(600 + REPLACEMENTS * 30 + DOWNTIME_SECONDS)


@dataclass(frozen=True)
class Result:
    """Times of the replacements, clients meanwhile, and whether a session in IDLE survived."""

    times: Times
    load: ClientLoad
    session_is_alive: bool
    reloads: list[Interval]


Results = dict[Mode, Future[Result]]


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> str:
    """The networks of the cluster."""
    return str(request.param)


@pytest.fixture(scope="module")
def scenes(request: pytest.FixtureRequest, network: str) -> Scenes:
    """Mail servers behind two pods of Traefik."""
    found: Scenes = request.getfixturevalue(NETWORKS[network])
    return found


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, network: str, scenes: Scenes, report: Report
) -> Results:
    """For each mail server of a cluster, concurrently."""

    def run(mode: Mode) -> Result:
        scene = scenes.get(mode)
        pods = find_edge_pods(scene)
        for pod in pods.values():
            time_first_login(addresses_of(pod)[0])
        survivor, known = pods[min(pods)], scene.log_size()
        with (
            IdleSession(addresses_of(survivor)[0], IMAP.port) as session,
            ClientLoad(scene) as load,
        ):
            times = replace_often(scene, REPLACEMENTS)
            is_alive = session.is_alive()
        reloads = read_reloads(scene, known)
        count = f"{load.logins} logins and {load.deliveries} deliveries"
        cut_off = len(load.find_cut_off(reloads))
        note = f"beside {count}, {cut_off} were cut off by one of {len(reloads)} reloads"
        notes = [*times.summaries(), note]
        for note in notes:
            report.notes.add(f"{name_of(network, mode)}: {note}")
        return Result(times, load, is_alive, reloads)

    with ThreadPoolExecutor(len(MODES)) as pool:
        return {mode: pool.submit(run, mode) for mode in chosen_modes(request, "replica_mode")}


def name_of(network: str, mode: Mode) -> str:
    """In the report."""
    return "-".join([network, *mode])


@REPLICA_MODES
def test_every_new_pod_is_accepted_and_every_old_address_rejected(
    replica_mode: Mode, results: Results
) -> None:
    times = results[replica_mode].result().times
    assert len(times.accepted) == len(times.rejected) == REPLACEMENTS


@REPLICA_MODES
def test_no_login_and_no_delivery_through_the_edges_service_fails(
    replica_mode: Mode, results: Results
) -> None:
    """Except logins that Dovecot is handling while it is reloaded, by IMAP and by SMTP.

    Everyone is greeted, however long it takes: no connection is refused, or closed without a
    greeting, or silent for a minute.
    """
    result = results[replica_mode].result()
    load = result.load
    cut_off = load.find_cut_off(result.reloads)
    others = [failure for failure in load.failures if failure not in cut_off]
    assert not others, (others, result.reloads)
    assert load.logins > REPLACEMENTS
    assert load.deliveries > REPLACEMENTS


@REPLICA_MODES
def test_session_through_the_pod_that_stays_continues(replica_mode: Mode, results: Results) -> None:
    assert results[replica_mode].result().session_is_alive


@REPLICA_MODES
def test_new_sandbox_is_followed_like_a_new_pod(
    replica_mode: Mode, network: str, scenes: Scenes, results: Results, report: Report
) -> None:
    """The same pod, by name and uid, with new addresses."""
    results[replica_mode].result()
    scene = scenes.get(replica_mode)
    name, pod = max(find_edge_pods(scene).items())
    old = addresses_of(pod)
    kill_sandbox(scene, pod)

    def find_new() -> list[str]:
        now = find_edge_pods(scene)[name]
        assert now["metadata"]["uid"] == pod["metadata"]["uid"]
        return addresses_of(now) if addresses_of(now) != old else []

    new = wait_for(find_new, SETTLE_SECONDS, f"a new address of {name}", interval=0.01)
    seconds = time_first_login(new[0])
    name = name_of(network, replica_mode)
    report.notes.add(f"{name}: new sandbox has an address -> login: {seconds:.2f} s")
    for address in old:
        find_rejection(scene, address)
    assert read_greeting(new[0], IMAP.port) == "greeted"


def test_trust_is_correct_soon_after_downtime_of_the_operator(
    network: str,
    scenes: Scenes,
    results: Results,
    trust_latencies: dict[Mode, Future[TrustLatency]],
    report: Report,
) -> None:
    """During the downtime the mail server's list does not change."""
    wait([*results.values(), *trust_latencies.values()])  # they need the operator
    found = [scenes.get(mode) for mode in results]
    cluster = found[0].cluster
    with ThreadPoolExecutor(len(found)) as pool, operator_down(cluster) as start_operator:
        downtimes = list(pool.map(replace_edge_pod, found))
        Event().wait(DOWNTIME_SECONDS)
        for downtime in downtimes:
            check_trust_is_unchanged(downtime)
        start_operator()
        seconds = list(pool.map(lambda downtime: time_first_login(downtime.new), downtimes))
    report.notes.add(
        f"{network}: operator up after {DOWNTIME_SECONDS:g} s and more -> login:"
        f" {max(seconds):.2f} s"
    )
