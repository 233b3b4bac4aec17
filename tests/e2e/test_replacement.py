"""The running mail server follows the edge: pods go and come, clients notice nothing.

With an edge of both IP families and with one of IPv6 alone. `REPLACEMENTS` says how many pods each
mail server loses, `AWAY_SECONDS` how long the operator is away; the report has the times.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

import pytest

from tests.cluster.scene import SETTLE_SECONDS
from tests.controlplane.api import wait_for
from tests.e2e.client_load import Crowd, Idler
from tests.e2e.modes import MODES, REPLICA_MODES, Mode, Scenes, chosen_modes
from tests.e2e.operator_downtime import expect_nothing_new, operator_away, replace_without_operator
from tests.e2e.replacement import (
    IMAP,
    REPLACEMENTS,
    Times,
    addresses_of,
    find_edge_pods,
    find_refusal,
    has_banner,
    kill_sandbox,
    replace_often,
    time_first_login,
)
from tests.e2e.report import Report
from tests.e2e.trust_latency import Arrival

AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "0"))  # beyond what the test takes anyway
NETWORKS = {"dual-stack": "replica_scenes", "IPv6-only": "ipv6_scenes"}  # the fixture of each
pytestmark = pytest.mark.timeout(600 + REPLACEMENTS * 30 + AWAY_SECONDS)


@dataclass(frozen=True)
class Story:
    """What a mail server went through: replacements, clients meanwhile, one that only waited.

    `reloads` is how often Dovecot was reloaded.
    """

    times: Times
    crowd: Crowd
    idler_lives: bool
    reloads: int


Stories = dict[Mode, Future[Story]]


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> str:
    """Of the cluster."""
    return str(request.param)


@pytest.fixture(scope="module")
def scenes(request: pytest.FixtureRequest, network: str) -> Scenes:
    """Mail servers behind two pods of Traefik's."""
    found: Scenes = request.getfixturevalue(NETWORKS[network])
    return found


@pytest.fixture(scope="module")
def stories(
    request: pytest.FixtureRequest, network: str, scenes: Scenes, report: Report
) -> Stories:
    """All mail servers of a cluster at once."""

    def play(mode: Mode) -> Story:
        scene = scenes.get(mode)
        pods = find_edge_pods(scene)
        for pod in pods.values():
            time_first_login(addresses_of(pod)[0])
        survivor, known = pods[min(pods)], scene.log_size()
        with Idler(addresses_of(survivor)[0], IMAP.port) as idler, Crowd(scene) as crowd:
            times = replace_often(scene, REPLACEMENTS)
            lives = idler.is_alive()
        reloads = scene.logs(since=known).count("Dovecot has reloaded")
        logins = f"{crowd.logins} logins and {crowd.deliveries} deliveries"
        cut_off = f"beside {logins}, {len(crowd.cut_off)} were cut off by one of {reloads} reloads"
        notes = [*times.summaries(), cut_off]
        for note in notes:
            report.notes.add(f"{name_of(network, mode)}: {note}")
        return Story(times, crowd, lives, reloads)

    with ThreadPoolExecutor(len(MODES)) as pool:
        return {mode: pool.submit(play, mode) for mode in chosen_modes(request, "replica_mode")}


def name_of(network: str, mode: Mode) -> str:
    """In the report."""
    return "-".join([network, *mode])


@REPLICA_MODES
def test_every_new_pod_is_believed_and_every_old_address_refused(
    replica_mode: Mode, stories: Stories
) -> None:
    times = stories[replica_mode].result().times
    assert len(times.believed) == len(times.refused) == REPLACEMENTS


@REPLICA_MODES
def test_no_login_and_no_delivery_through_the_edges_service_fails(
    replica_mode: Mode, stories: Stories
) -> None:
    """But for the very few whose password Dovecot is checking just when it is reloaded."""
    story = stories[replica_mode].result()
    crowd = story.crowd
    assert not crowd.failures, crowd.failures
    assert len(crowd.cut_off) <= story.reloads, crowd.cut_off
    assert crowd.logins > REPLACEMENTS
    assert crowd.deliveries > REPLACEMENTS


@REPLICA_MODES
def test_a_session_through_the_pod_that_stays_goes_on(replica_mode: Mode, stories: Stories) -> None:
    assert stories[replica_mode].result().idler_lives


@REPLICA_MODES
def test_a_new_sandbox_is_followed_like_a_new_pod(
    replica_mode: Mode, network: str, scenes: Scenes, stories: Stories, report: Report
) -> None:
    """The same pod, by name and uid, with other addresses."""
    stories[replica_mode].result()
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
        find_refusal(scene, address)
    assert has_banner(new[0], IMAP.port)


def test_trust_is_right_soon_after_the_operator_was_away(
    network: str,
    scenes: Scenes,
    stories: Stories,
    arrivals: dict[Mode, Future[Arrival]],
    report: Report,
) -> None:
    """While it is away nothing changes for the mail server: nobody new is believed, nobody lost."""
    wait([*stories.values(), *arrivals.values()])  # they need the operator
    played = [scenes.get(mode) for mode in stories]
    cluster = played[0].cluster
    with ThreadPoolExecutor(len(played)) as pool, operator_away(cluster) as back:
        absences = list(pool.map(replace_without_operator, played))
        Event().wait(AWAY_SECONDS)
        for absence in absences:
            expect_nothing_new(absence)
        back()
        seconds = list(pool.map(lambda absence: time_first_login(absence.new), absences))
    report.notes.add(
        f"{network}: operator back after {AWAY_SECONDS:g} s and more -> login: {max(seconds):.2f} s"
    )
