"""The right to refresh volumes: only where it is installed, and good for one annotation only."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.api import Api, ApiStatus, Manifest, wait_for
from tests.controlplane.binaries import Binaries
from tests.controlplane.edge import create_pod
from tests.integration.cluster import MANIFESTS, OPERATOR, Installation, install
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.integration.volume_refresh import (
    ANNOTATION,
    find_refreshes,
    read_annotation,
    wait_for_refresh,
)

POLICY = "mailproxy-operator-volume-refresh"
HASH = "0123456789abcdef"


@pytest.fixture(scope="module")
def minimal(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Without the right, at first."""
    folder = tmp_path_factory.mktemp("minimal")
    with install(binaries, folder, MANIFESTS / "minimal") as installation:
        yield installation


@pytest.fixture(scope="module")
def place(installed: Installation) -> Iterator[tuple[Scene, Api]]:
    """A mail server without a MailProxy, and the operator's rights."""
    scene = Scene(installed.api)
    scene.add_mail_server()
    account = installed.account()
    wait_for_policy(account, scene.mail, POLICY)
    yield scene, account
    scene.tear_down()


def wait_for_policy(account: Api, namespace: str, policy: str) -> None:
    """Wait until the policy is in force: the API server takes a moment to read it."""
    numbers = count()
    answers = ["nothing"]

    def is_refused() -> bool:
        label = {"metadata": {"labels": {"try": str(next(numbers))}}}  # equal ones would pass
        try:
            account.merge_patch("Pod", "dms-0", label, namespace)
        except ApiStatus as error:
            answers.append(error.message)
        return f"'{policy}'" in answers[-1] and "may not change labels" in answers[-1]

    wait_for(is_refused, SETTLE_SECONDS, lambda: answers[-1])


def annotate(value: str | None) -> Manifest:
    return {"metadata": {"annotations": {ANNOTATION: value}}}


def test_operator_without_the_right_asks_once_and_does_all_else(minimal: Installation) -> None:
    scene = Scene(minimal.api)
    with minimal.operator:
        scene.add_all()
        for number in (7, 8, 9):
            scene.add_proxy_pod(f"traefik-{number}", f"10.1.0.{number}")
            wait_for(lambda n=number: scene.status()["trustedCount"] == n - 4, SETTLE_SECONDS)
    assert [request.code for request in find_refreshes(minimal.audit, scene)] == [403]
    assert read_annotation(scene) == ""
    assert len(find_complaints(minimal)) == 1
    minimal.plane.run_kubectl("apply", "-k", str(MANIFESTS / "default"))
    with minimal.operator:
        wait_for_refresh(scene)
    assert {request.code for request in find_refreshes(minimal.audit, scene)[1:]} == {200}
    assert len(find_complaints(minimal)) == 1


def find_complaints(installed: Installation) -> list[str]:
    """Lines of the operator's log that say what it may not do with the mail pod."""
    return [line for line in installed.operator.log.splitlines() if "may not" in line]


def test_policy_follows_the_account_into_another_namespace_and_name(
    minimal: Installation, tmp_path: Path
) -> None:
    """As users move it, with `namespace:`, `namePrefix:` and `nameSuffix:` of their own."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "default").symlink_to(MANIFESTS / "default")
    lines = ["namespace: elsewhere", "namePrefix: my-", "nameSuffix: -x", "resources: [default]"]
    (own / "kustomization.yaml").write_text("\n".join(lines))
    kubectl = minimal.plane.run_kubectl
    kubectl("delete", "--ignore-not-found", "validatingadmissionpolicy", POLICY)
    kubectl("apply", "-k", str(own))
    scene = Scene(minimal.api)
    scene.add_mail_server()
    account = Api(minimal.plane.service_account_kubeconfig("elsewhere", f"my-{OPERATOR}-x"))
    wait_for_policy(account, scene.mail, f"my-{POLICY}-x")


@pytest.mark.parametrize("value", [HASH, f"{HASH}.2", HASH[::-1], None])
def test_the_annotation_may_be_changed(place: tuple[Scene, Api], value: str | None) -> None:
    scene, account = place
    account.merge_patch("Pod", "dms-0", annotate(value), scene.mail)
    assert read_annotation(scene) == (value or "")


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
def test_nothing_else_may_be_changed(place: tuple[Scene, Api], change: str) -> None:
    scene, account = place
    kept = {"metadata": {"annotations": {"user.example/kept": "as it is"}}}
    before = scene.api.merge_patch("Pod", "dms-0", kept, scene.mail)
    with pytest.raises(ApiStatus, match=f"ValidatingAdmissionPolicy '{POLICY}'"):
        account.merge_patch("Pod", "dms-0", OTHER_CHANGES[change], scene.mail)
    assert scene.api.get("Pod", "dms-0", scene.mail) == before


@pytest.mark.parametrize("beside", [{}, annotate(HASH)])
def test_the_image_may_not_be_changed(place: tuple[Scene, Api], beside: Manifest) -> None:
    scene, account = place
    before = scene.api.get("Pod", "dms-0", scene.mail)
    containers = [c | {"image": "other.example/image"} for c in before["spec"]["containers"]]
    with pytest.raises(ApiStatus, match="may not change the spec"):
        account.merge_patch(
            "Pod", "dms-0", beside | {"spec": {"containers": containers}}, scene.mail
        )
    assert scene.api.get("Pod", "dms-0", scene.mail) == before


def test_server_side_apply_does_not_bypass_the_policy(place: tuple[Scene, Api]) -> None:
    scene, account = place
    pod = {"apiVersion": "v1", "kind": "Pod"}
    metadata: dict[str, Any] = {"name": "dms-0", "namespace": scene.mail, "labels": {"a": "b"}}
    with pytest.raises(ApiStatus, match="may not change labels"):
        account.apply(pod | {"metadata": metadata})
    container = {"name": "docker-mailserver", "image": "other.example/image"}
    with pytest.raises(ApiStatus, match="may not change the spec"):
        account.apply(pod | {"metadata": metadata, "spec": {"containers": [container]}})


SUBRESOURCES: dict[str, Manifest] = {
    "status": {"status": {"phase": "Failed"}},
    "ephemeralcontainers": {"spec": {"ephemeralContainers": [{"name": "a", "image": "b"}]}},
    "resize": annotate(HASH),
}


@pytest.fixture
def all_rights(place: tuple[Scene, Api], installed: Installation) -> Iterator[tuple[Scene, Api]]:
    """An administrator has given the account every right on pods."""
    scene, _ = place
    group, name = "rbac.authorization.k8s.io", {"name": "all-pod-rights"}
    resources = ["pods", *(f"pods/{name}" for name in SUBRESOURCES)]
    rule = {"apiGroups": [""], "resources": resources, "verbs": ["*"]}
    api_version = f"{group}/v1"
    scene.api.apply(
        {"apiVersion": api_version, "kind": "ClusterRole", "metadata": name, "rules": [rule]}
    )
    subject = {"kind": "ServiceAccount", "namespace": installed.namespace, "name": OPERATOR}
    scene.api.apply(
        {
            "apiVersion": api_version,
            "kind": "ClusterRoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole"} | name,
            "subjects": [subject],
        }
    )
    yield place
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        scene.api.delete(kind, "all-pod-rights")


@pytest.mark.parametrize("subresource", SUBRESOURCES)
def test_subresources_stay_closed_even_with_the_right_to_them(
    all_rights: tuple[Scene, Api], subresource: str
) -> None:
    scene, account = all_rights
    patch, name = SUBRESOURCES[subresource], f"no-{subresource}"
    spec = {"containers": [{"name": "main", "image": "b"}]}  # on no node that would have to agree
    create_pod(scene.api, name, scene.mail, {}, spec)
    wait_for_refusal(
        lambda: account.merge_patch("Pod", name, patch, scene.mail, subresource=subresource)
    )


def wait_for_refusal(act: Callable[[], object]) -> None:
    """By the policy: the API server takes a moment to learn of a new right."""
    answers: list[str] = []

    def is_refused() -> bool:
        with pytest.raises(ApiStatus) as refusal:
            act()
        answers.append(str(refusal.value))
        return "may patch pods, and nothing else of them" in answers[-1]

    wait_for(is_refused, SETTLE_SECONDS, lambda: answers[-1])


def test_pods_can_be_neither_created_nor_deleted_even_with_the_right(
    all_rights: tuple[Scene, Api],
) -> None:
    scene, account = all_rights
    spec = {"containers": [{"name": "a", "image": "b"}]}
    metadata = {"name": "made", "namespace": scene.mail}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    wait_for_refusal(lambda: account.create(pod))
    wait_for_refusal(lambda: account.delete("Pod", "dms-0", scene.mail))
