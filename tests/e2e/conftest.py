"""A cluster with the operator for all tests here, and one without IPv4 for a few."""

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
from tests.e2e.header_capture import HeaderCapture
from tests.e2e.modes import (
    MODES,
    SEPARATE,
    Mode,
    Scenes,
    chosen_modes,
    pass_postscreen,
    temporary_scenes,
)
from tests.e2e.replacement import REPLICAS
from tests.e2e.report import REPORT, Report
from tests.e2e.sessions import MailClient
from tests.e2e.trust_latency import TrustLatency, measure_trust_latency

NUMBER = int(os.environ.get("MAILPROXY_E2E_CLUSTER", "2"))  # `make cluster` is 1
REPLICA_INDEX = 80  # of LoadBalancer addresses
IPV6_NUMBER = NUMBER + 100  # concurrent runs may use the next numbers
CLUSTER_FIXTURES = {"cluster", "ipv6_cluster", "latency_mode", "network"}  # and parameters
STANDARD_MODES = (  # parameters
    "scene",
    "separate_scene",
    "standard_mode",
    "latency_mode",
    "attacked",
    "forgery_mode",
    "isolated",
)
PREPARATION_ERROR = pytest.StashKey[ToolError]()


def pytest_configure(config: pytest.Config) -> None:
    """Create the report that tests add to."""
    config.stash[REPORT] = Report()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the report."""
    terminalreporter.config.stash[REPORT].write(terminalreporter)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing: here no test's timeout applies, and progress is not captured."""
    if session.config.option.collectonly or find_obstacle():
        return
    if any(CLUSTER_FIXTURES & set(getattr(item, "fixturenames", ())) for item in session.items):
        try:
            prepare()
        except ToolError as error:
            session.config.stash[PREPARATION_ERROR] = error


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """The report at the end of the run."""
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A cluster with the operator, installed as README says."""
    with start(pytestconfig, NUMBER) as running:
        yield running


@pytest.fixture(scope="session")
def ipv6_cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """Another one without IPv4; it starts when a test first needs it."""
    with start(pytestconfig, IPV6_NUMBER, IPV6_ONLY) as running:
        yield running


@contextmanager
def start(
    config: pytest.Config, number: int, families: tuple[int, ...] = DUAL_STACK
) -> Iterator[Cluster]:
    """A cluster with the operator; without one the test is skipped, or fails if CI is set."""
    if obstacle := find_obstacle():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{obstacle} (no test may be skipped with CI=true)", pytrace=False)
        pytest.skip(obstacle)
    if error := config.stash.get(PREPARATION_ERROR, None):
        pytest.fail(str(error), pytrace=False)
    with Cluster(number, families) as running:
        install_operator(running)
        yield running


@pytest.fixture(scope="module")
def header_capture(cluster: Cluster) -> Iterator[HeaderCapture]:
    """The PROXY headers that edges send to mail servers."""
    with HeaderCapture(cluster.in_network) as capture:
        yield capture


@pytest.fixture(scope="session")
def standard_scenes(request: pytest.FixtureRequest, cluster: Cluster) -> Scenes:
    """An edge and a mail server with all eight ports, for each mode of the selected tests."""

    def create(mode: Mode) -> Scene:
        dovecot, listeners = mode
        name = f"{listeners.lower()}-{dovecot.replace('.', '')}"
        # Most tests are about a server without a NetworkPolicy, where `mynetworks` includes pods.
        env = {"PERMIT_DOCKER": "host"}
        scene = Scene(cluster, name, 1 + MODES.index(mode), dovecot, listeners, env=env)
        scene.create(networkPolicy="Disabled")
        pass_postscreen(scene)
        return scene

    return Scenes(chosen_modes(request, *STANDARD_MODES), create)


@pytest.fixture(scope="session")
def replica_scenes(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Scenes]:
    """A mail server behind two pods of Traefik, with a webmail that forwards client addresses."""
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
    """The same without IPv4, without the webmail, and at first without a NetworkPolicy."""

    def create(mode: Mode) -> Scene:
        number = 1 + SEPARATE.index(mode)
        scene = Scene(ipv6_cluster, f"ipv6-{number}", number, *mode)
        scene.create(traefik=REPLICAS, networkPolicy="Disabled")
        pass_postscreen(scene)
        return scene

    with temporary_scenes(SEPARATE, create) as scenes:
        yield scenes


@pytest.fixture(scope="session", autouse=True)
def trust_latencies(request: pytest.FixtureRequest) -> dict[Mode, Future[TrustLatency]]:
    """How soon a new edge pod is trusted, in each scene; measured while other tests run."""
    modes = chosen_modes(request, "latency_mode")
    if not modes:
        return {}
    pool = ThreadPoolExecutor(len(MODES))
    standard_scenes: Scenes = request.getfixturevalue("standard_scenes")

    def measure(mode: Mode) -> TrustLatency:
        return measure_trust_latency(standard_scenes.get(mode))

    return {mode: pool.submit(measure, mode) for mode in modes}


@pytest.fixture(scope="session", params=MODES, ids="-".join)
def scene(request: pytest.FixtureRequest, standard_scenes: Scenes) -> Scene:
    """Traefik, a mail server and a MailProxy, for each Dovecot and each mode."""
    return standard_scenes.get(request.param)


@pytest.fixture(scope="session", params=SEPARATE, ids="-".join)
def separate_scene(request: pytest.FixtureRequest, standard_scenes: Scenes) -> Scene:
    """As `scene`, where PROXY ports exist beside the normal ones."""
    return standard_scenes.get(request.param)


@pytest.fixture(scope="session")
def webmail(separate_scene: Scene) -> tuple[MailClient, str]:
    """A pod that uses the normal ports through the mail server's Service, and its address."""
    scene = separate_scene
    scene.add_pod(scene.mail, "webmail")
    service = scene.cluster.api.get("Service", "mail-server", scene.mail)
    run = scene.run_in(scene.mail, "webmail", check=False)
    client = MailClient(scene, service["spec"]["clusterIP"], through_edge=False, run=run)
    return client, scene.pod_addresses(scene.mail, "webmail")[0]
