"""A control plane and an operator that one test may break."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.controlplane.api import Api
from tests.controlplane.audit import AuditLog
from tests.controlplane.binaries import Binaries
from tests.controlplane.crds import mailproxy_crd, traefik_crds
from tests.controlplane.server import ControlPlane
from tests.integration.scene import Scene
from tests.operator_process import OperatorProcess


class Stage:
    """Its API server keeps an audit log; the operator is started by the test."""

    def __init__(self, directory: Path, binaries: Binaries) -> None:
        self.audit = AuditLog(directory)
        self._directory = directory
        self._binaries = binaries
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def open(self, *, with_traefik: bool = True) -> Scene:
        """Start the control plane; returns the scene of a first edge and mail server."""
        crds = [*(traefik_crds() if with_traefik else []), mailproxy_crd()]
        arguments = self.audit.arguments
        self.plane = ControlPlane(
            self._directory, binaries=self._binaries, crds=crds, extra_apiserver_args=arguments
        )
        self._stack.enter_context(self.plane)
        self.api = Api(self.plane.kubeconfig)
        self.operator = OperatorProcess(self.plane.kubeconfig, self.plane.logs / "operator.log")
        self._stack.callback(self.operator.stop, 0)
        return Scene(self.api)
