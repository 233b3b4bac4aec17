"""Control planes with an audit log and an operator: with all rights, or as users install it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.api import Api, Manifest
from tests.controlplane.audit import AuditLog
from tests.controlplane.binaries import Binaries
from tests.controlplane.crds import traefik_crds
from tests.controlplane.server import ControlPlane
from tests.operator_process import OperatorProcess

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
OPERATOR = "mailproxy-operator"
SYSTEM = "mailproxy-system"
ELSEWHERE = "elsewhere"  # `namespace:` of a user's own kustomization


@dataclass(frozen=True)
class Cluster:
    """A control plane with an operator.

    Attributes:
        audit: Of all requests but the administrator's.
        operator: Its process, which the test starts.
    """

    plane: ControlPlane
    api: Api
    audit: AuditLog
    operator: OperatorProcess


@contextmanager
def run_cluster(
    folder: Path, crds: Sequence[Manifest], binaries: Binaries | None = None
) -> Iterator[Cluster]:
    """An operator that may do everything, as a user of its own; all ends with the context."""
    audit = AuditLog(folder)
    with ControlPlane(
        folder,
        binaries=binaries,
        crds=crds,
        extra_apiserver_args=audit.arguments,
        users={OPERATOR: "system:masters"},
    ) as plane:
        kubeconfig = plane.user_kubeconfig(OPERATOR)
        with _ending(OperatorProcess(kubeconfig, plane.logs / "operator.log")) as operator:
            yield Cluster(plane, Api(plane.kubeconfig), audit, operator)


@contextmanager
def _ending(operator: OperatorProcess) -> Iterator[OperatorProcess]:
    """Stop an operator in the end, and look into its log."""
    try:
        yield operator
    finally:
        operator.stop()
    assert "Traceback" not in operator.log, operator.log


@dataclass(frozen=True)
class Installation(Cluster):
    """Its operator runs with the rights that `manifests/` gives it.

    Attributes:
        namespace: Of its ServiceAccount.
        output: What kubectl printed, warnings too.
    """

    namespace: str
    output: str

    def account(self) -> Api:
        """A client of the test with the operator's rights."""
        return Api(self.plane.service_account_kubeconfig(self.namespace, OPERATOR))


@contextmanager
def install(
    binaries: Binaries,
    folder: Path,
    kustomization: Path,
    *,
    namespace: str = SYSTEM,
    apiserver_args: Sequence[str] = (),
) -> Iterator[Installation]:
    """Apply a kustomization to a new control plane.

    The controller manager starts behind that: its garbage collector looks for new kinds but twice a
    minute.
    """
    audit = AuditLog(folder)
    with ControlPlane(
        folder,
        binaries=binaries,
        controller_manager=False,
        crds=traefik_crds(),
        extra_apiserver_args=[*audit.arguments, *apiserver_args],
    ) as plane:
        answer = plane.run_kubectl("apply", "-k", str(kustomization))
        plane.start_controller_manager()
        kubeconfig = plane.service_account_kubeconfig(namespace, OPERATOR)
        output = answer.stdout + answer.stderr
        with _ending(OperatorProcess(kubeconfig, plane.logs / "operator.log")) as operator:
            yield Installation(plane, Api(plane.kubeconfig), audit, operator, namespace, output)


@contextmanager
def install_all(binaries: Binaries, folder: Path) -> Iterator[Installation]:
    """All components, by a kustomization of the user's own that moves mailproxy to `ELSEWHERE`."""
    own = folder / "install"
    own.mkdir()
    base = os.path.relpath(MANIFESTS, own)
    text = {
        "namespace": ELSEWHERE,
        "resources": [f"{base}/default"],
        "components": [f"{base}/components/wiring"],
    }
    (own / "kustomization.yaml").write_text(json.dumps(text))
    with install(binaries, folder, own, namespace=ELSEWHERE) as installation:
        again = installation.plane.run_kubectl("apply", "-k", str(own)).stdout
        assert {line.split()[-1] for line in again.splitlines()} == {"unchanged"}, again
        yield installation
