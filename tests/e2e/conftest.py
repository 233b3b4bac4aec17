"""A cluster with the operator for all tests here, and one without IPv4 for a few."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.cluster.cluster import Cluster, prepare
from tests.cluster.programs import find_obstacle
from tests.cluster.scene import Scene
from tests.cluster.workloads import NAME
from tests.controlplane.gomod import ToolError
from tests.e2e.clusters import CLUSTERS, Clusters
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

REPLICA_INDEX = 80  # of LoadBalancer addresses
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
    if any(CLUSTER_FIXTURES & set(_fixtures(item)) for item in session.items):
        try:
            prepare()
        except ToolError as error:
            session.config.stash[PREPARATION_ERROR] = error


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """The report at the end of the run."""
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def clusters(request: pytest.FixtureRequest) -> Iterator[Clusters]:
    """Clusters; where none can run, the test is skipped, or fails if CI is set."""
    if obstacle := find_obstacle():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{obstacle} (no test may be skipped with CI=true)", pytrace=False)
        pytest.skip(obstacle)
    if error := request.config.stash.get(PREPARATION_ERROR, None):
        pytest.fail(str(error), pytrace=False)
    with Clusters() as clusters:
        used = {name for item in request.session.items for name in _fixtures(item)}
        for name in used & CLUSTERS.keys():
            clusters.start(name)
        yield clusters


@pytest.fixture(scope="session")
def cluster(clusters: Clusters) -> Cluster:
    """A cluster with IPv4 and IPv6."""
    return clusters.start("cluster").result()


@pytest.fixture(scope="session")
def ipv6_cluster(clusters: Clusters) -> Cluster:
    """One without IPv4."""
    return clusters.start("ipv6_cluster").result()


def _fixtures(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


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
