"""One real control plane for all integration tests of a session, and a namespace for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.api import Api
from tests.controlplane.binaries import Binaries, ToolError
from tests.controlplane.crds import mailproxy_crd, traefik_crds
from tests.controlplane.edge import create_namespace
from tests.controlplane.server import ControlPlane
from tests.integration.scene import Scene
from tests.integration.stage import Stage
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
def control_plane(
    binaries: Binaries, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """Running, with Traefik's CRDs and ours; a test that restarts it waits until it is back."""
    directory = tmp_path_factory.mktemp("control-plane")
    pytestconfig.stash[DIRECTORY] = directory
    crds = [*traefik_crds(), mailproxy_crd()]
    with ControlPlane(directory, binaries=binaries, crds=crds) as running:
        yield running


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Api:
    """The administrator's client."""
    return Api(control_plane.kubeconfig)


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """Name of a fresh namespace; its end is not waited for."""
    name = f"test-{secrets.token_hex(4)}"
    create_namespace(api, name)
    yield name
    api.delete("Namespace", name)


@pytest.fixture(scope="session")
def operator(control_plane: ControlPlane) -> Iterator[OperatorProcess]:
    """One operator for all tests that do not disturb it."""
    process = OperatorProcess(control_plane.kubeconfig, control_plane.logs / "operator.log")
    with process:
        yield process
    assert "Traceback" not in process.log, process.log


@pytest.fixture
def scene(api: Api, operator: OperatorProcess) -> Iterator[Scene]:  # noqa: ARG001 - it must run
    """An edge and a mail server in namespaces of their own, beside the session's operator."""
    scene = Scene(api)
    yield scene
    scene.tear_down()


@pytest.fixture
def stage(binaries: Binaries, tmp_path: Path) -> Iterator[Stage]:
    """A control plane and an operator of the test's own, for what would disturb others."""
    with Stage(tmp_path, binaries) as stage:
        yield stage
