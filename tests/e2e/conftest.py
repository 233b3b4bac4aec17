"""One cluster for all tests here but a few, with the operator; tests own their namespaces."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.cluster.addresses import DUAL_STACK, IPV6_ONLY
from tests.cluster.cluster import Cluster, prepare
from tests.cluster.operator import install_operator
from tests.cluster.programs import find_obstacle
from tests.cluster.scene import Scene
from tests.cluster.workloads import NAME
from tests.controlplane.gomod import ToolError
from tests.e2e.modes import (
    MODES,
    SEPARATE,
    Mode,
    Scenes,
    become_known,
    chosen_modes,
    temporary_scenes,
)
from tests.e2e.replacement import REPLICAS
from tests.e2e.report import REPORT, Report
from tests.e2e.sessions import Visitor
from tests.e2e.trust_latency import Arrival, watch_arrival
from tests.e2e.wire import Wire

NUMBER = int(os.environ.get("MAILPROXY_E2E_CLUSTER", "2"))  # `make cluster` is 1
REPLICA_INDEX = 80  # of LoadBalancer addresses
IPV6_NUMBER = NUMBER + 100  # the next ones may be those of other runs
CLUSTER_USERS = {"cluster", "ipv6_cluster", "arriving_mode", "network"}  # what asks for one
STANDARD_MODES = (  # parameters
    "scene",
    "separate_scene",
    "standard_mode",
    "arriving_mode",
    "attacked",
    "forgery_mode",
    "isolated",
)
PREPARATION_ERROR = pytest.StashKey[ToolError]()


def pytest_configure(config: pytest.Config) -> None:
    """A report for the tests to fill."""
    config.stash[REPORT] = Report()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    terminalreporter.config.stash[REPORT].write(terminalreporter)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing here: no test's time limit runs yet, and progress is not captured."""
    if session.config.option.collectonly or find_obstacle():
        return
    if any(CLUSTER_USERS & set(getattr(item, "fixturenames", ())) for item in session.items):
        try:
            prepare()
        except ToolError as error:
            session.config.stash[PREPARATION_ERROR] = error


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """What is printed at the end."""
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A running cluster with the operator, installed as README says."""
    with start(pytestconfig, NUMBER) as running:
        yield running


@pytest.fixture(scope="session")
def ipv6_cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The same without IPv4, beside it; it starts when the first test wants it."""
    with start(pytestconfig, IPV6_NUMBER, IPV6_ONLY) as running:
        yield running


@contextmanager
def start(
    config: pytest.Config, number: int, families: tuple[int, ...] = DUAL_STACK
) -> Iterator[Cluster]:
    """A cluster with the operator; the test that asks for it fails or is skipped without one."""
    if obstacle := find_obstacle():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{obstacle} (CI=true: nothing may be left out)", pytrace=False)
        pytest.skip(obstacle)
    if error := config.stash.get(PREPARATION_ERROR, None):
        pytest.fail(str(error), pytrace=False)
    with Cluster(number, families) as running:
        install_operator(running)
        yield running


@pytest.fixture(scope="module")
def wire(cluster: Cluster) -> Iterator[Wire]:
    """What the edges send to the mail servers."""
    with Wire(cluster.in_network) as wire:
        yield wire


@pytest.fixture(scope="session")
def standard_scenes(request: pytest.FixtureRequest, cluster: Cluster) -> Scenes:
    """An edge and a mail server with all eight ports, for each mode that the chosen tests need."""

    def create(mode: Mode) -> Scene:
        dovecot, listeners = mode
        name = f"{listeners.lower()}-{dovecot.replace('.', '')}"
        # What guards a server without a policy, where every pod may relay by its address, is what
        # most tests are about.
        env = {"PERMIT_DOCKER": "host"}
        scene = Scene(cluster, name, 1 + MODES.index(mode), dovecot, listeners, env=env)
        scene.create(networkPolicy="Disabled")
        become_known(scene)
        return scene

    return Scenes(chosen_modes(request, *STANDARD_MODES), create)


@pytest.fixture(scope="session")
def replica_scenes(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """A mail server behind two pods of Traefik, and a webmail that names its users' addresses."""
    webmail = {"name": "webmail", "podSelector": {"matchLabels": {NAME: "webmail"}}}

    def create(mode: Mode) -> Scene:
        number = MODES.index(mode)
        scene = Scene(cluster, f"replica-{number}", REPLICA_INDEX + number, *mode)
        clients = [webmail | {"forwardsClientIP": True}]
        scene.create(traefik=REPLICAS, internalClients=clients)
        return scene

    with temporary_scenes(chosen_modes(request, "replica_mode"), create) as scenes:
        yield scenes


@pytest.fixture(scope="session")
def ipv6_scenes(ipv6_cluster: Cluster) -> Iterator[Scenes]:
    """The same without IPv4, without the webmail, and without a NetworkPolicy at first."""

    def create(mode: Mode) -> Scene:
        number = 1 + SEPARATE.index(mode)
        scene = Scene(ipv6_cluster, f"ipv6-{number}", number, *mode)
        scene.create(traefik=REPLICAS, networkPolicy="Disabled")
        become_known(scene)
        return scene

    with temporary_scenes(SEPARATE, create) as scenes:
        yield scenes


@pytest.fixture(scope="session", autouse=True)
def arrivals(request: pytest.FixtureRequest) -> dict[Mode, Future[Arrival]]:
    """A new edge pod in each scene; it is followed as other tests run."""
    modes = chosen_modes(request, "arriving_mode")
    if not modes:
        return {}
    pool = ThreadPoolExecutor(len(MODES))
    standard_scenes: Scenes = request.getfixturevalue("standard_scenes")

    def follow(mode: Mode) -> Arrival:
        return watch_arrival(standard_scenes.get(mode))

    return {mode: pool.submit(follow, mode) for mode in modes}


@pytest.fixture(scope="session", params=MODES, ids="-".join)
def scene(request: pytest.FixtureRequest, standard_scenes: Scenes) -> Scene:
    """Traefik, a mail server and a MailProxy, for each Dovecot and each mode."""
    return standard_scenes.get(request.param)


@pytest.fixture(scope="session", params=SEPARATE, ids="-".join)
def separate_scene(request: pytest.FixtureRequest, standard_scenes: Scenes) -> Scene:
    """As `scene`, where the PROXY ports stand beside the normal ones."""
    return standard_scenes.get(request.param)


@pytest.fixture(scope="session")
def webmail(separate_scene: Scene) -> tuple[Visitor, str]:
    """A pod that uses the normal ports, through the mail server's own Service; and its address."""
    scene = separate_scene
    scene.add_pod(scene.mail, "webmail")
    service = scene.cluster.api.get("Service", "mail-server", scene.mail)
    run = scene.run_in(scene.mail, "webmail", check=False)
    visitor = Visitor(scene, service["spec"]["clusterIP"], through_edge=False, run=run)
    return visitor, scene.pod_addresses(scene.mail, "webmail")[0]
