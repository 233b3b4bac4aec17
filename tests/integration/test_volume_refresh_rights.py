"""The right to poke: not there by default, and never good for anything but the one annotation."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.controlplane.api import Api, ApiStatus, Manifest, wait_for
from tests.controlplane.audit import AuditLog
from tests.controlplane.binaries import Binaries
from tests.controlplane.crds import traefik_crds
from tests.controlplane.edge import create_pod
from tests.controlplane.server import ControlPlane
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.integration.volume_refresh import ANNOTATION, find_pokes, read_poke, wait_for_poke
from tests.operator_process import OperatorProcess

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
ACCOUNT = ("mailproxy-system", "mailproxy-operator")
HASH = "0123456789abcdef"


class Cluster(NamedTuple):
    """An audited control plane, and the operator as its own ServiceAccount."""

    plane: ControlPlane
    api: Api
    audit: AuditLog

    def operator(self) -> OperatorProcess:
        """To be started by the test."""
        kubeconfig = self.plane.service_account_kubeconfig(*ACCOUNT)
        return OperatorProcess(kubeconfig, self.plane.logs / "operator.log")

    def install(self, folder: str) -> None:
        """`kubectl apply -k` of a folder of manifests."""
        self.plane.run_kubectl("apply", "-k", str(MANIFESTS / folder))


@pytest.fixture
def bare(binaries: Binaries, tmp_path: Path) -> Iterator[Cluster]:
    """Nothing is installed yet."""
    audit = AuditLog(tmp_path)
    arguments, crds = audit.arguments, traefik_crds()
    with ControlPlane(
        tmp_path, binaries=binaries, extra_apiserver_args=arguments, crds=crds
    ) as plane:
        yield Cluster(plane, Api(plane.kubeconfig), audit)


@pytest.fixture(scope="module")
def live(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Scene, Api]]:
    """With the component installed: a scene, and the operator's ServiceAccount in it."""
    folder = tmp_path_factory.mktemp("live")
    with ControlPlane(folder, binaries=binaries) as plane:
        plane.run_kubectl("apply", "-k", str(MANIFESTS / "default"))
        scene = Scene(Api(plane.kubeconfig))
        scene.add_mail_server()
        account = Api(plane.service_account_kubeconfig(*ACCOUNT))
        wait_for_policy(account, scene.mail)
        yield scene, account


def wait_for_policy(account: Api, namespace: str) -> None:
    """Wait until the policy is in force: the API server takes a moment to read it."""
    numbers = count()

    def is_refused() -> bool:
        label = {"metadata": {"labels": {"try": str(next(numbers))}}}  # equal ones would pass
        try:
            account.merge_patch("Pod", "dms-0", label, namespace)
        except ApiStatus as error:
            return "may not change labels" in error.message
        return False

    wait_for(is_refused, SETTLE_SECONDS)


def annotate(value: str | None) -> Manifest:
    return {"metadata": {"annotations": {ANNOTATION: value}}}


def test_operator_without_the_right_asks_once_and_does_all_else(bare: Cluster) -> None:
    bare.install("minimal")
    scene = Scene(bare.api)
    with bare.operator() as operator:
        scene.add_all()
        for number in (7, 8, 9):
            scene.add_proxy_pod(f"traefik-{number}", f"10.1.0.{number}")
            wait_for(lambda n=number: scene.status()["trustedCount"] == n - 4, SETTLE_SECONDS)
        assert [poke.code for poke in find_pokes(bare.audit)] == [403]
        assert read_poke(scene) == ""
        assert operator.log.count("may not poke pod dms-0") == 1
    bare.install("default")
    with bare.operator() as operator:
        wait_for_poke(scene)
        assert "may not poke" not in operator.log.rpartition("stopped")[2]


@pytest.mark.parametrize("value", [HASH, f"{HASH}.2", HASH[::-1], None])
def test_the_annotation_may_be_changed(live: tuple[Scene, Api], value: str | None) -> None:
    scene, account = live
    account.merge_patch("Pod", "dms-0", annotate(value), scene.mail)
    assert read_poke(scene) == (value or "")


OTHER_CHANGES: dict[str, Manifest] = {
    "another annotation": {"metadata": {"annotations": {"a": "b"}}},
    "another annotation beside ours": {"metadata": {"annotations": {ANNOTATION: HASH, "a": "b"}}},
    "a changed annotation": {"metadata": {"annotations": {"user.example/kept": "changed"}}},
    "a removed annotation": {"metadata": {"annotations": {"user.example/kept": None}}},
    "all annotations removed": {"metadata": {"annotations": None}},
    "a free text": annotate("anything"),
    "a second line": annotate(f"{HASH}\n{HASH}"),
    "a label": {"metadata": {"labels": {"a": "b"}}},
    "a removed label": {"metadata": {"labels": {"app.kubernetes.io/name": None}}},
    "a finalizer": {"metadata": {"finalizers": ["example.com/a"]}},
    "an owner": {
        "metadata": {
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "a"}]
        }
    },
    "a deadline": {"spec": {"activeDeadlineSeconds": 1}},
    "a toleration": {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}},
}


@pytest.mark.parametrize("change", OTHER_CHANGES)
def test_nothing_else_may_be_changed(live: tuple[Scene, Api], change: str) -> None:
    scene, account = live
    kept = {"metadata": {"annotations": {"user.example/kept": "as it is"}}}
    before = scene.api.merge_patch("Pod", "dms-0", kept, scene.mail)
    with pytest.raises(ApiStatus, match="ValidatingAdmissionPolicy 'mailproxy-operator-volume-refresh'"):
        account.merge_patch("Pod", "dms-0", OTHER_CHANGES[change], scene.mail)
    assert scene.api.get("Pod", "dms-0", scene.mail) == before


@pytest.mark.parametrize("beside", [{}, annotate(HASH)])
def test_the_image_may_not_be_changed(live: tuple[Scene, Api], beside: Manifest) -> None:
    scene, account = live
    before = scene.api.get("Pod", "dms-0", scene.mail)
    containers = [c | {"image": "evil.example/image"} for c in before["spec"]["containers"]]
    with pytest.raises(ApiStatus, match="may not change the spec"):
        account.merge_patch(
            "Pod", "dms-0", beside | {"spec": {"containers": containers}}, scene.mail
        )
    assert scene.api.get("Pod", "dms-0", scene.mail) == before


def test_server_side_apply_is_no_way_round(live: tuple[Scene, Api]) -> None:
    scene, account = live
    pod = {"apiVersion": "v1", "kind": "Pod"}
    metadata: dict[str, Any] = {"name": "dms-0", "namespace": scene.mail, "labels": {"a": "b"}}
    with pytest.raises(ApiStatus, match="may not change labels"):
        account.apply(pod | {"metadata": metadata})
    container = {"name": "docker-mailserver", "image": "evil.example/image"}
    with pytest.raises(ApiStatus, match="may not change the spec"):
        account.apply(pod | {"metadata": metadata, "spec": {"containers": [container]}})


SUBRESOURCES: dict[str, Manifest] = {
    "status": {"status": {"phase": "Failed"}},
    "ephemeralcontainers": {"spec": {"ephemeralContainers": [{"name": "a", "image": "b"}]}},
    "resize": annotate(HASH),
}


@pytest.fixture
def careless(live: tuple[Scene, Api]) -> Iterator[tuple[Scene, Api]]:
    """Somebody has given the account every right on pods."""
    scene, _ = live
    group, name = "rbac.authorization.k8s.io", {"name": "careless"}
    resources = ["pods", *(f"pods/{name}" for name in SUBRESOURCES)]
    rule = {"apiGroups": [""], "resources": resources, "verbs": ["*"]}
    api_version = f"{group}/v1"
    scene.api.apply(
        {"apiVersion": api_version, "kind": "ClusterRole", "metadata": name, "rules": [rule]}
    )
    subject = {"kind": "ServiceAccount", "namespace": ACCOUNT[0], "name": ACCOUNT[1]}
    scene.api.apply(
        {
            "apiVersion": api_version,
            "kind": "ClusterRoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole"} | name,
            "subjects": [subject],
        }
    )
    yield live
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        scene.api.delete(kind, "careless")


@pytest.mark.parametrize("subresource", SUBRESOURCES)
def test_subresources_stay_closed_even_with_the_right_to_them(
    careless: tuple[Scene, Api], subresource: str
) -> None:
    scene, account = careless
    patch, name = SUBRESOURCES[subresource], f"no-{subresource}"
    spec = {"containers": [{"name": "main", "image": "b"}]}  # on no node that would have to agree
    create_pod(scene.api, name, scene.mail, {}, spec)
    wait_for_refusal(
        lambda: account.merge_patch("Pod", name, patch, scene.mail, subresource=subresource)
    )


def wait_for_refusal(act: Callable[[], object]) -> None:
    """By the policy: the API server takes a moment to learn of a new right."""
    said: list[str] = []

    def is_refused() -> bool:
        with pytest.raises(ApiStatus) as refusal:
            act()
        said.append(str(refusal.value))
        return "may patch pods, and nothing else of them" in said[-1]

    wait_for(is_refused, SETTLE_SECONDS, lambda: said[-1])


def test_pods_can_be_neither_made_nor_deleted_even_with_the_right(
    careless: tuple[Scene, Api],
) -> None:
    scene, account = careless
    spec = {"containers": [{"name": "a", "image": "b"}]}
    metadata = {"name": "made", "namespace": scene.mail}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    wait_for_refusal(lambda: account.create(pod))
    wait_for_refusal(lambda: account.delete("Pod", "dms-0", scene.mail))


def test_policy_follows_the_account_into_another_namespace_and_name(
    binaries: Binaries, tmp_path: Path
) -> None:
    """As users move it, with `namespace:`, `namePrefix:` and `nameSuffix:` of their own."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "default").symlink_to(MANIFESTS / "default")
    lines = ["namespace: elsewhere", "namePrefix: my-", "nameSuffix: -x", "resources: [default]"]
    (own / "kustomization.yaml").write_text("\n".join(lines))
    with ControlPlane(tmp_path, binaries=binaries, controller_manager=False) as plane:
        plane.run_kubectl("apply", "-k", str(own))
        api = Api(plane.kubeconfig)
        path = "/api/v1/namespaces/default/pods"
        pod = {"metadata": {"name": "dms-0"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
        api.request("POST", "/api/v1/namespaces/default/serviceaccounts", ACCOUNT_BODY)
        api.request("POST", path, pod)
        account = Api(plane.service_account_kubeconfig("elsewhere", "my-mailproxy-operator-x"))
        wait_for_policy(account, "default")


ACCOUNT_BODY = {"metadata": {"name": "default"}}
