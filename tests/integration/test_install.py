"""What users install with `kubectl apply -k manifests/default`, and that its rights fit exactly.

The API server writes down every request of the operator's ServiceAccount. A MailProxy's whole life
then shows which rights are used, and these are compared with the role, in both directions.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, product
from typing import NamedTuple

import pytest
import yaml

from tests.controlplane.api import ApiStatus, Manifest, wait_for
from tests.controlplane.binaries import Binaries
from tests.controlplane.edge import create_pod
from tests.integration.cluster import MANIFESTS, OPERATOR, SYSTEM, Installation, install
from tests.integration.scene import SETTLE_SECONDS, Scene

DEFAULT = MANIFESTS / "default"
ROLES = ("rbac", "components/volume-refresh")
USER = f"system:serviceaccount:{SYSTEM}:{OPERATOR}"

Child = tuple[str, str]  # kind and name
Right = tuple[str, str, str]  # API group, resource, verb


class Life(NamedTuple):
    """What is known after a MailProxy's life."""

    scene: Scene
    log: str
    requests: list[Manifest]


@pytest.fixture(scope="module")
def cluster(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Of this module alone: at the end mailproxy is removed from it."""
    # As on OpenShift: even owner references are guarded by rights.
    arguments = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"]
    folder = tmp_path_factory.mktemp("install")
    with install(binaries, folder, DEFAULT, apiserver_args=arguments) as installation:
        yield installation


@pytest.fixture(scope="module")
def life(cluster: Installation) -> Life:
    """A MailProxy goes through everything that makes the operator send requests."""
    scene = Scene(cluster.api)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("POD_NAME", "pod-1")
        with cluster.operator as operator:
            scene.add_all()
            lose_every_child(scene)
            want_other_children(scene)
            find_old_children(scene)
            # A watch is in the log as soon as the API server has accepted it.
            wait_for(
                lambda: used_rights(read_requests(cluster)) >= granted_rights(),
                SETTLE_SECONDS,
                lambda: granted_rights() - used_rights(read_requests(cluster)),
            )
            operator.terminate()
            wait_for(lambda: operator.has_ended, 5)
            assert operator.exit_code == 0
    return Life(scene, operator.log, read_requests(cluster))


def lose_every_child(scene: Scene) -> None:
    """All children are deleted; they are restored."""
    before = find_uids(scene)
    for kind, name in before:
        scene.api.delete(kind, name, scene.mail)

    def are_back() -> bool:
        after = find_uids(scene)
        return after.keys() == before.keys() and not set(after.values()) & set(before.values())

    wait_for(are_back, SETTLE_SECONDS, lambda: find_uids(scene).keys())
    scene.wait_for_condition("Ready", "True")


def want_other_children(scene: Scene) -> None:
    """The user's edits make some children superfluous, and ask for one of another kind."""
    lasting = {child for child in scene.children() if child[0] in ("ConfigMap", "Service")}
    lasting |= {("IngressRouteTCP", "mail-imaps"), ("IngressRouteTCP", "mail-submissions")}
    spec = {
        "networkPolicy": "Disabled",
        "ports": [{"name": "imaps"}, {"name": "submissions"}],
        "trust": {"from": "NodePodCIDRs"},
    }
    scene.apply(edge={"proxyProtocol": {"field": "ServersTransport"}}, **spec)
    wait_for_children(scene, lasting | {("ServersTransportTCP", "mail")})
    scene.wait_for_trust("10.244.1.0/24", "fd00:1::/64")
    scene.apply(**spec)
    wait_for_children(scene, lasting)


def find_old_children(scene: Scene) -> None:
    """What an operator that used other names has left is cleared away."""
    before = scene.children()
    current = before["ConfigMap", "mail-trust"]["metadata"]
    kept = {key: current[key] for key in ("namespace", "labels", "ownerReferences")}
    common = {"apiVersion": "v1", "metadata": kept | {"name": "mail-old"}}
    for kind, content in [("ConfigMap", {}), ("Service", {"spec": {"ports": [{"port": 25}]}})]:
        scene.api.create(common | {"kind": kind} | content)
    wait_for_children(scene, set(before))


def find_uids(scene: Scene) -> dict[Child, str]:
    return {child: item["metadata"]["uid"] for child, item in scene.children().items()}


def wait_for_children(scene: Scene, wanted: set[Child], timeout: float = SETTLE_SECONDS) -> None:
    wait_for(lambda: scene.children().keys() == wanted, timeout, lambda: scene.children().keys())


def read_requests(cluster: Installation) -> list[Manifest]:
    """What the operator asked for, without the URLs at which the API server describes itself.

    Those are open to every account by the built-in role `system:discovery`.
    """
    return [
        event
        for event in cluster.audit.events()
        if event["user"].get("username") == USER and "resource" in event.get("objectRef", {})
    ]


def used_rights(requests: Iterable[Manifest]) -> set[Right]:
    used: set[Right] = set()
    for request in filter(is_granted, requests):
        target = request["objectRef"]
        resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
        verbs = {request["verb"]}
        if verbs == {"patch"} and request["responseStatus"]["code"] == 201:
            verbs.add("create")  # an apply needs both when it creates
        used |= {(target.get("apiGroup", ""), resource, verb) for verb in verbs}
    return used


def is_granted(request: Manifest) -> bool:
    return request["responseStatus"]["code"] not in (401, 403)


def granted_rights() -> set[Right]:
    files = (MANIFESTS / folder / "cluster-role.yaml" for folder in ROLES)
    return list_rights(chain(*(yaml.safe_load(file.read_text())["rules"] for file in files)))


def list_rights(rules: Iterable[Manifest]) -> set[Right]:
    parts = [product(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in rules]
    return {right for part in parts for right in part}


def test_install_prints_no_warning(cluster: Installation) -> None:
    assert [line for line in cluster.output.splitlines() if not line.endswith(" created")] == []


def test_second_apply_changes_nothing(cluster: Installation) -> None:
    said = cluster.plane.run_kubectl("apply", "-k", str(DEFAULT)).stdout
    assert said == cluster.output.replace(" created", " unchanged")


def test_restricted_namespace_admits_the_pod(cluster: Installation) -> None:
    (pod,) = wait_for(lambda: cluster.api.list("Pod", SYSTEM), 30)
    del pod["spec"]["containers"][0]["securityContext"]
    with pytest.raises(ApiStatus, match='violates PodSecurity "restricted'):
        create_pod(cluster.api, "unrestricted", SYSTEM, {}, pod["spec"])


def test_life_uses_all_rights_of_the_role_and_no_other(life: Life) -> None:
    assert used_rights(life.requests) == granted_rights()


def test_every_right_comes_from_the_role(life: Life) -> None:
    granted = filter(is_granted, life.requests)
    reasons = {r["annotations"]["authorization.k8s.io/reason"] for r in granted}
    roles = {re.findall(r'of ClusterRole "([^"]*)"', reason)[0] for reason in reasons}
    assert roles == {OPERATOR, f"{OPERATOR}-volume-refresh"}


def test_only_the_list_of_wired_workloads_is_refused(
    life: Life,
) -> None:
    refused = [r for r in life.requests if not is_granted(r)]
    asked = [(r["verb"], r["objectRef"]["resource"]) for r in refused]
    assert sorted(asked) == [("list", "deployments"), ("list", "statefulsets")]
    assert not re.search(r"forbidden|traceback| error ", life.log, re.IGNORECASE)


def test_events_report_trust_and_readiness(life: Life) -> None:
    events = life.scene.api.list("Event", life.scene.mail)
    reported = {(e["reason"], e["reportingInstance"], e["regarding"]["name"]) for e in events}
    assert reported >= {("TrustChanged", "pod-1", "mail"), ("Ready", "pod-1", "mail")}


@pytest.mark.usefixtures("life")  # its requests are in the log already; here comes one of ours
def test_account_has_the_rights_of_the_role_and_no_other(cluster: Installation) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    review = cluster.account().request("POST", path, {"spec": {"namespace": SYSTEM}})
    rights = list_rights(review["status"]["resourceRules"])
    about_itself = {"authentication.k8s.io", "authorization.k8s.io"}  # what anybody may ask
    assert {right for right in rights if right[0] not in about_itself} == granted_rights()


def test_delete_leaves_only_what_others_made(cluster: Installation, life: Life) -> None:
    api, scene = cluster.api, life.scene
    with cluster.operator:
        cluster.plane.run_kubectl("delete", "-k", str(DEFAULT))
        wait_for_children(scene, set(), 60)
    kinds = "all,configmaps,serviceaccounts,clusterroles,clusterrolebindings,crds,namespaces"
    kinds += ",validatingadmissionpolicies,validatingadmissionpolicybindings"
    assert "mailproxy" not in cluster.plane.run_kubectl("get", kinds, "-A").stdout
    left = {(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in api.list("Pod")}
    assert left == {(scene.edge, "traefik-0"), (scene.edge, "traefik-1"), (scene.mail, "dms-0")}
    assert [service["metadata"]["name"] for service in api.list("Service", scene.edge)]
