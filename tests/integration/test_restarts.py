"""The operator is killed, or the API server restarts: afterwards all is as it should be."""

from itertools import count
from pathlib import Path

import pytest

from tests.controlplane.api import wait_for
from tests.controlplane.audit import AuditLog
from tests.controlplane.server import ControlPlane
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.operator_process import OperatorProcess

PROXIES = 12
ACCOUNT = "operator"


def _apply_many(scene: Scene) -> list[str]:
    """MailProxies that share an edge, each with a host name of its own."""
    names = [f"mail{number:02}" for number in range(PROXIES)]
    for name in names:
        scene.apply(
            name,
            hostname=f"{name}.example.com",
            mailServer={"podSelector": {"matchLabels": {"app": name}}},
            ports=[{"name": "imaps", "sni": "Hostname"}],
        )
    return names


def _is_complete(scene: Scene, names: list[str]) -> bool:
    wanted = {("IngressRouteTCP", f"{name}-imaps") for name in names}
    wanted |= {("ConfigMap", f"{name}-trust") for name in names}
    wanted |= {("Service", f"{name}-proxy") for name in names}
    return wanted <= set(scene.children())


def test_operator_killed_at_work_finishes_after_a_restart(
    scene: Scene, operator: OperatorProcess
) -> None:
    scene.add_edge("10.1.0.1")
    names = _apply_many(scene)
    for enough in count(5, 15):  # kill it at ever later points of the same work
        wait_for(
            lambda enough=enough: len(scene.children()) >= enough or _is_complete(scene, names),
            SETTLE_SECONDS,
        )
        operator.stop(grace_seconds=0)
        if _is_complete(scene, names):
            break
        operator.start()
    scene.remove_proxy_pod("traefik-0")  # while no operator runs
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    operator.start()
    for name in names:
        scene.wait_for_trust("10.1.0.9", name=name)
    assert _is_complete(scene, names)


def test_restart_rewrites_nothing_that_is_correct(scene: Scene, operator: OperatorProcess) -> None:
    scene.add_all()
    versions, status = scene.versions(), scene.proxy()["metadata"]["resourceVersion"]
    operator.stop()
    operator.start()
    scene.add_proxy_pod("traefik-9", "10.1.0.9")  # its effect shows that everything was looked at
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9")
    changed = {key for key, version in scene.versions().items() if versions[key] != version}
    assert changed == {("ConfigMap", "mail-trust")}
    wait_for(lambda: scene.proxy()["metadata"]["resourceVersion"] != status, SETTLE_SECONDS)


def test_mailproxy_deleted_while_the_operator_was_down_is_no_longer_served(
    scene: Scene, operator: OperatorProcess, audit: AuditLog
) -> None:
    scene.add_all()
    operator.stop()
    scene.api.delete("MailProxy", "mail", scene.mail)
    operator.start()
    wait_for(lambda: not scene.children(), SETTLE_SECONDS, lambda: f"{set(scene.children())}")
    seen = len(audit.writes(scene.mail))
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    scene.apply("newer")  # served after the pod's event, so that one had its chance
    scene.wait_for_condition("RoutesReady", "True", name="newer")
    assert not [w for w in audit.writes(scene.mail)[seen:] if w.name.startswith("mail-")]


@pytest.mark.parametrize("kill", [False, True], ids=["terminated", "killed"])
def test_operator_survives_a_restart_of_the_api_server(
    scene: Scene, operator: OperatorProcess, control_plane: ControlPlane, kill: bool
) -> None:
    scene.add_all()
    for round_number in range(3):
        control_plane.restart_apiserver(kill=kill)
        name, address = f"new-{round_number}", f"10.3.0.{round_number + 1}"
        wait_for(lambda: scene.api.get("Pod", "traefik-0", scene.edge), SETTLE_SECONDS)
        scene.add_proxy_pod(name, address)
        expected = [f"10.3.0.{n + 1}" for n in range(round_number + 1)]
        scene.wait_for_trust("10.1.0.1", "10.1.0.2", *expected)
    assert not operator.has_ended
    assert operator.probe("/healthz") == "ok"


def test_sigterm_ends_the_operator_within_seconds_with_code_zero(
    scene: Scene, operator: OperatorProcess
) -> None:
    scene.add_all()
    operator.terminate()
    wait_for(lambda: operator.has_ended, 5, "the operator to end")
    assert operator.exit_code == 0


def test_permanently_refused_token_causes_no_busy_loop(
    scene: Scene, operator: OperatorProcess, control_plane: ControlPlane, audit: AuditLog
) -> None:
    operator.stop()
    kubeconfig = _create_account(scene, control_plane)
    with OperatorProcess(kubeconfig, control_plane.logs / "account.log"):
        scene.add_all()
        scene.api.delete("ServiceAccount", ACCOUNT, scene.mail)

        def refused(agent: str) -> int:
            return len(audit.requests(lambda r: r.code == 401 and r.agent.startswith(agent)))

        control_plane.restart_apiserver(kill=True)  # it remembers tokens for some seconds
        wait_for(lambda: refused("mailproxy-operator/") >= 60, 60, "our own tries, which slow down")
        assert refused("kopf/") < 20


def _create_account(scene: Scene, control_plane: ControlPlane) -> Path:
    """A ServiceAccount that may do everything; returns its kubeconfig."""
    account = {"name": ACCOUNT, "namespace": scene.mail}
    scene.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    scene.api.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": scene.mail},
            "subjects": [{"kind": "ServiceAccount", **account}],
            "roleRef": role,
        }
    )
    return control_plane.service_account_kubeconfig(scene.mail, ACCOUNT)
