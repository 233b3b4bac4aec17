"""A control plane on which mailproxy is installed with the component, and an edge for each test."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.api import Api
from tests.controlplane.audit import AuditLog
from tests.controlplane.binaries import Binaries
from tests.controlplane.crds import traefik_crds
from tests.controlplane.server import ControlPlane
from tests.integration.scene import Scene
from tests.integration.wiring.installation import OPERATOR, SYSTEM, Installation
from tests.operator_process import OperatorProcess

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests"


@pytest.fixture(scope="session")
def installed(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Of these tests alone, as its audit log is read."""
    folder = tmp_path_factory.mktemp("wiring")
    install = folder / "install"
    install.mkdir()
    base = os.path.relpath(MANIFESTS, install)
    text = {
        "namespace": SYSTEM,
        "resources": [f"{base}/default"],
        "components": [f"{base}/components/wiring"],
    }
    (install / "kustomization.yaml").write_text(json.dumps(text))
    audit = AuditLog(folder)
    with ControlPlane(
        folder, binaries=binaries, crds=traefik_crds(), extra_apiserver_args=audit.arguments
    ) as plane:
        plane.run_kubectl("apply", "-k", str(install))
        again = plane.run_kubectl("apply", "-k", str(install)).stdout
        assert {line.split()[-1] for line in again.splitlines()} == {"unchanged"}, again
        kubeconfig = plane.service_account_kubeconfig(SYSTEM, OPERATOR)
        with OperatorProcess(kubeconfig, plane.logs / "operator.log") as operator:
            yield Installation(plane, Api(plane.kubeconfig), audit, operator)
            assert "Traceback" not in operator.log, operator.log


@pytest.fixture
def scene(installed: Installation) -> Iterator[Scene]:
    """An edge, and a namespace for a mail server."""
    if installed.operator.has_ended:
        installed.operator.start()
    scene = Scene(installed.api)
    scene.add_edge("10.1.0.1")
    yield scene
    scene.tear_down()
