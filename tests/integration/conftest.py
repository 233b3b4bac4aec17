"""One control plane and one operator for nearly all tests; a namespace for each test.

A test may stop the operator and restart the API server: the next one that needs them waits. What
would last, such as a missing CRD or other rights, has a control plane of its own.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.api import Api
from tests.controlplane.audit import AuditLog
from tests.controlplane.binaries import Binaries, ToolError
from tests.controlplane.crds import mailproxy_crd, traefik_crds
from tests.controlplane.edge import create_namespace, delete_namespace
from tests.controlplane.server import ControlPlane
from tests.integration.cluster import Cluster, Installation, install_all, run_cluster
from tests.integration.scene import Scene
from tests.operator_process import OperatorProcess

TOOLS_ERROR = pytest.StashKey[ToolError]()
DIRECTORY = pytest.StashKey[Path]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build missing programs here: no test's time limit runs yet, and progress is not captured."""
    fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.option.collectonly or not {"binaries", "control_plane"} & fixtures:
        return
    try:
        Binaries.ensure()
        traefik_crds()
    except ToolError as error:
        session.config.stash[TOOLS_ERROR] = error


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say where to look when something went wrong."""
    if exitstatus and (directory := config.stash.get(DIRECTORY, None)):
        terminalreporter.write_line(f"Logs of the control plane: {directory / 'logs'}")


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Binaries:
    """The control plane's programs."""
    if error := pytestconfig.stash.get(TOOLS_ERROR, None):
        pytest.fail(str(error), pytrace=False)
    return Binaries.ensure()


@pytest.fixture(scope="session")
def shared_cluster(
    binaries: Binaries, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Of all tests that need none of their own."""
    directory = tmp_path_factory.mktemp("shared")
    pytestconfig.stash[DIRECTORY] = directory
    with run_cluster(directory, [*traefik_crds(), mailproxy_crd()], binaries) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def control_plane(shared_cluster: Cluster) -> ControlPlane:
    """Running, with Traefik's CRDs and ours; a test that restarts it waits until it is back."""
    return shared_cluster.plane


@pytest.fixture(scope="session")
def api(shared_cluster: Cluster) -> Api:
    """The administrator's client."""
    return shared_cluster.api


@pytest.fixture(scope="session")
def audit(shared_cluster: Cluster) -> AuditLog:
    """What the operator has asked the API server for."""
    return shared_cluster.audit


@pytest.fixture
def operator(shared_cluster: Cluster) -> OperatorProcess:
    """Running; a test that stops it may leave it so."""
    shared_cluster.operator.ensure_running()
    return shared_cluster.operator


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """Name of a fresh namespace; its end is not waited for."""
    name = f"test-{secrets.token_hex(4)}"
    create_namespace(api, name)
    yield name
    delete_namespace(api, name)


@pytest.fixture
def scene(api: Api, operator: OperatorProcess) -> Iterator[Scene]:  # noqa: ARG001 - it must run
    """An edge and a mail server in namespaces of their own."""
    scene = Scene(api)
    yield scene
    scene.tear_down()


@pytest.fixture(scope="session")
def installed(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Another control plane, where mailproxy is installed with all components."""
    with install_all(binaries, tmp_path_factory.mktemp("installed")) as installation:
        yield installation
