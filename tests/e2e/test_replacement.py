"""The running mail server follows the edge: pods go and come, clients notice nothing.

`REPLACEMENTS` says how many pods each mail server loses, `AWAY_SECONDS` how long the operator is
away; the report has the times.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

import pytest

from mailproxy.api.spec import PortName
from tests.cluster.cluster import Cluster
from tests.cluster.operator import NAMESPACE, install_operator
from tests.cluster.scene import Scene
from tests.controlplane.api import wait_for
from tests.controlplane.conditions import is_ready
from tests.e2e import server_log
from tests.e2e.arrival import Arrival
from tests.e2e.crowd import Crowd, Idler
from tests.e2e.modes import MODES, REPLICA_MODES, Mode, Scenes, chosen_modes
from tests.e2e.replacement import (
    IMAP,
    REPLACEMENTS,
    SETTLE_SECONDS,
    Heir,
    Times,
    addresses_of,
    find_edge_pods,
    has_banner,
    kill_sandbox,
    replace_often,
    summarize,
    time_first_login,
)
from tests.e2e.report import Report
from tests.e2e.services import SERVICES

AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "0"))  # beyond what the test takes anyway
pytestmark = pytest.mark.timeout(600 + REPLACEMENTS * 30)


@dataclass(frozen=True)
class Story:
    """What a mail server went through: replacements, clients meanwhile, one that only waited.

    `reloads` is how often Dovecot was reloaded.
    """

    times: Times
    crowd: Crowd
    idler_lives: bool
    reloads: int


@pytest.fixture(scope="module")
def stories(
    request: pytest.FixtureRequest, replica_scenes: Scenes, report: Report
) -> dict[Mode, Future[Story]]:
    """All mail servers at once."""

    def play(mode: Mode) -> Story:
        scene = replica_scenes.get(mode)
        pods = find_edge_pods(scene)
        for pod in pods.values():
            time_first_login(addresses_of(pod)[0])
        survivor, known = pods[min(pods)], scene.log_size()
        with Idler(addresses_of(survivor)[0], IMAP.port) as idler, Crowd(scene) as crowd:
            times = replace_often(scene, REPLACEMENTS)
            lives = idler.is_alive()
        name = "-".join(mode)
        report.notes.add(summarize(f"{name}: edge pod has an address -> login", times.believed))
        report.notes.add(summarize(f"{name}: edge pod gone -> address refused", times.refused))
        reloads = scene.logs(since=known).count("Dovecot has reloaded")
        logins = f"{crowd.cut_off} of {crowd.logins + crowd.cut_off} logins"
        report.notes.add(f"{name}: {logins} were cut off by one of {reloads} reloads")
        return Story(times, crowd, lives, reloads)

    with ThreadPoolExecutor(len(MODES)) as pool:
        return {mode: pool.submit(play, mode) for mode in chosen_modes(request, "replica_mode")}


@REPLICA_MODES
def test_every_new_pod_is_believed_and_every_old_address_refused(
    replica_mode: Mode, stories: dict[Mode, Future[Story]]
) -> None:
    times = stories[replica_mode].result().times
    assert len(times.believed) == len(times.refused) == REPLACEMENTS


@REPLICA_MODES
def test_no_login_and_no_delivery_through_the_edges_service_fails(
    replica_mode: Mode, stories: dict[Mode, Future[Story]]
) -> None:
    """But for those few that Dovecot itself loses.

    When it is reloaded at that very moment, whoever has checked the password and whoever has the
    mailbox belong to different servers of passwords (`Internal login failure` in its log).
    """
    story = stories[replica_mode].result()
    crowd = story.crowd
    assert not crowd.failures, crowd.failures
    assert crowd.cut_off <= 2 * story.reloads  # there are two clients
    assert crowd.logins > REPLACEMENTS
    assert crowd.deliveries > REPLACEMENTS


@REPLICA_MODES
def test_a_session_through_the_pod_that_stays_goes_on(
    replica_mode: Mode, stories: dict[Mode, Future[Story]]
) -> None:
    assert stories[replica_mode].result().idler_lives


@REPLICA_MODES
def test_a_new_sandbox_is_followed_like_a_new_pod(
    replica_mode: Mode, stories: dict[Mode, Future[Story]], replica_scenes: Scenes, report: Report
) -> None:
    """The same pod, by name and uid, with another address."""
    stories[replica_mode].result()
    scene = replica_scenes.get(replica_mode)
    name, pod = max(find_edge_pods(scene).items())
    old = addresses_of(pod)
    kill_sandbox(scene, pod)

    def find_new() -> list[str]:
        now = find_edge_pods(scene)[name]
        assert now["metadata"]["uid"] == pod["metadata"]["uid"]
        return addresses_of(now) if addresses_of(now) != old else []

    new = wait_for(find_new, SETTLE_SECONDS, f"a new address of {name}", interval=0.01)
    seconds = time_first_login(new[0])
    name = "-".join(replica_mode)
    report.notes.add(f"{name}: new sandbox has an address -> login: {seconds:.2f} s")
    with Heir(scene.cluster, old[0]) as heir:
        heir.time_refusal(scene, SERVICES[PortName.IMAP])
    assert has_banner(new[0], IMAP.port)


def test_trust_is_right_soon_after_the_operator_was_away(
    stories: dict[Mode, Future[Story]],
    replica_scenes: Scenes,
    arrivals: dict[Mode, Future[Arrival]],
    cluster: Cluster,
    report: Report,
) -> None:
    """While it is away nothing changes for the mail server: nobody new is believed, nobody lost."""
    wait([*stories.values(), *arrivals.values()])  # they need the operator
    scenes = [replica_scenes.get(mode) for mode in stories]
    with ThreadPoolExecutor(len(scenes)) as pool, operator_away(cluster) as back:
        absences = list(pool.map(replace_without_operator, scenes))
        Event().wait(AWAY_SECONDS)
        for absence in absences:
            expect_nothing_new(absence)
        back()
        seconds = list(pool.map(lambda absence: time_first_login(absence.new), absences))
    report.notes.add(
        f"operator back after {AWAY_SECONDS:g} s and more -> login: {max(seconds):.2f} s"
    )


@contextmanager
def operator_away(cluster: Cluster) -> Iterator[Callable[[], None]]:
    """Without the operator, until the function that is given is called, or to the end."""

    def run(replicas: int) -> None:
        name, namespace = "mailproxy-operator", NAMESPACE
        spec = {"spec": {"replicas": replicas}}
        cluster.api.merge_patch("Deployment", name, spec, namespace)

        def is_done() -> bool:
            pods = cluster.api.list("Pod", namespace)
            running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
            return len(running) == len(pods) == replicas

        wait_for(is_done, SETTLE_SECONDS, f"{replicas} pods of the operator", interval=0.02)

    run(0)
    try:
        yield lambda: run(1)
    finally:
        run(1)
        install_operator(cluster)


@dataclass(frozen=True)
class Absence:
    """The edge meanwhile: addresses of the pod that came and of the one that stays."""

    scene: Scene
    new: str
    survivor: str


def replace_without_operator(scene: Scene) -> Absence:
    """Replace one of two edge pods; the new one is ready then."""
    known = find_edge_pods(scene)
    survivor, name = sorted(known)
    scene.cluster.api.delete("Pod", name, scene.edge)

    def find_ready() -> list[str]:
        pods = [pod for n, pod in find_edge_pods(scene).items() if n not in known and is_ready(pod)]
        return addresses_of(pods[0]) if pods else []

    new = wait_for(find_ready, SETTLE_SECONDS, "a new pod of the edge")
    return Absence(scene, new[0], addresses_of(known[survivor])[0])


def expect_nothing_new(absence: Absence) -> None:
    """The log says that the new pod was refused; the one that stays is believed."""

    def is_refused() -> bool:
        assert not has_banner(absence.new, IMAP.port), f"{absence.new} is believed"
        peers = server_log.find_untrusted_peers(absence.scene.logs())
        return absence.new in {str(peer.address) for peer in peers}

    wait_for(is_refused, SETTLE_SECONDS, f"`Client not trusted (rip={absence.new})`", interval=0.1)
    assert has_banner(absence.survivor, IMAP.port), f"{absence.survivor} is not believed any more"
