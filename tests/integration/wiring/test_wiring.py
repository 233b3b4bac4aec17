"""`wiring: Inject`: the operator mounts its files into a workload that consents, and nothing else.

It runs as its own ServiceAccount, installed with `manifests/components/wiring` in a namespace of
its user's choice.
"""

import json
from collections.abc import Callable

import pytest

from tests.controlplane.api import Manifest, wait_for
from tests.controlplane.edge import delete_pod
from tests.integration.cluster import Installation
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.integration.wiring.looking import (
    MANAGER,
    MOUNTS,
    as_written,
    is_wired,
    our_mounts,
    read,
    wait_until_as_before,
    wait_until_wired,
)
from tests.integration.wiring.workload import CONSENT, find_writes, mail_server, workload

KINDS = ("Deployment", "StatefulSet")


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_our_volumes_and_mounts_are_added_and_removed(scene: Scene, kind: str) -> None:
    before = scene.api.apply(workload(scene, kind), field_manager="user")
    scene.apply(mailServer=mail_server(kind))
    wired = wait_until_wired(scene, kind)
    assert our_mounts(wired) == MOUNTS
    if kind == "StatefulSet":  # it does not replace a pod that never became ready
        wait_for(lambda: scene.api.get("Pod", "dms-0", scene.mail), SETTLE_SECONDS)
        delete_pod(scene.api, "dms-0", scene.mail)
    scene.wait_for_condition("MailServerReady", "True")

    expected = as_written(before)
    expected["metadata"].setdefault("labels", {})["mailproxy.dev/wired-by"] = "mail"
    pod = expected["spec"]["template"]["spec"]
    for suffix in ("overrides", "trust"):
        source = {"name": f"mail-{suffix}", "defaultMode": 420}
        pod["volumes"].append({"name": f"mailproxy-{suffix}", "configMap": source})
    pod["containers"][0]["volumeMounts"] += [
        {"name": "mailproxy-overrides", "mountPath": path, "subPath": file}
        if file
        else {"name": "mailproxy-trust", "mountPath": path}
        for path, file in MOUNTS.items()
    ]
    assert by_name(as_written(wired)) == by_name(expected)

    scene.apply(mailServer=mail_server(kind, wiring="Manual"))
    wait_until_as_before(scene, before, kind)


def by_name(manifest: Manifest) -> Manifest:
    """The same, with mounts and volumes in one order."""
    pod = manifest["spec"]["template"]["spec"]
    pod["volumes"].sort(key=lambda volume: str(volume["name"]))
    for container in pod["containers"]:
        container.get("volumeMounts", []).sort(key=lambda mount: str(mount["mountPath"]))
    return manifest


@pytest.mark.parametrize("side", ["server", "client"])
def test_user_and_operator_apply_side_by_side(
    scene: Scene, installed: Installation, side: str
) -> None:
    flags = ["--server-side"] if side == "server" else []

    def kubectl_apply(manifest: Manifest) -> None:
        installed.plane.run_kubectl("apply", *flags, "-f", "-", input=json.dumps(manifest))

    manifest = workload(scene)
    kubectl_apply(manifest)
    scene.apply(mailServer=mail_server())
    wired = wait_until_wired(scene)
    kubectl_apply(manifest)
    assert as_written(read(scene)) == as_written(wired)
    assert is_wired(read(scene))

    pod = manifest["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = "mailserver:2"
    pod["containers"][0]["volumeMounts"] = [{"name": "state", "mountPath": "/var/mail-state"}]
    pod["volumes"] = [{"name": "state", "emptyDir": {}}]
    kubectl_apply(manifest)
    changed = read(scene)
    assert our_mounts(changed) == MOUNTS
    container = changed["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "mailserver:2"
    assert {m["mountPath"] for m in container["volumeMounts"]} == {*MOUNTS, "/var/mail-state"}
    scene.wait_for_condition("MailServerReady", "True")

    # Ours changes too: two mounts go, one comes, and theirs stay.
    scene.apply(mailServer=mail_server(), listeners="Shared")
    shared = "/tmp/docker-mailserver/postfix-master.cf"
    wait_for(lambda: shared in our_mounts(read(scene)), SETTLE_SECONDS)
    scene.apply(mailServer=mail_server(wiring="Manual"))
    wait_for(lambda: not is_wired(read(scene)), SETTLE_SECONDS)
    container = read(scene)["spec"]["template"]["spec"]["containers"][0]
    assert [m["mountPath"] for m in container["volumeMounts"]] == ["/var/mail-state"]


def name_another(scene: Scene) -> None:
    other = workload(scene)
    other["metadata"]["name"] = "other"
    scene.api.apply(other)
    scene.apply(mailServer=mail_server(name="other"))
    wait_until_wired(scene, name="other")


def take_consent_back(scene: Scene) -> None:
    patch = {"metadata": {"annotations": {CONSENT: None}}}
    scene.api.merge_patch("Deployment", "dms", patch, scene.mail)


WITHDRAWALS: dict[str, Callable[[Scene], object]] = {
    "deletion": lambda scene: scene.api.delete("MailProxy", "mail", scene.mail),
    "deletion in the foreground": lambda scene: scene.api.delete(
        "MailProxy", "mail", scene.mail, propagation="Foreground"
    ),
    "another workload": name_another,
    "no consent any more": take_consent_back,
}


@pytest.mark.parametrize("way", WITHDRAWALS)
def test_all_is_removed(scene: Scene, way: str) -> None:
    before = scene.api.apply(workload(scene), field_manager="user")
    scene.apply(mailServer=mail_server())
    wait_until_wired(scene)
    WITHDRAWALS[way](scene)
    if way == "no consent any more":
        del before["metadata"]["annotations"]
        scene.wait_for_condition("MailServerReady", "False", "WiringNotAllowed")
    wait_until_as_before(scene, before)


def say_manual(scene: Scene) -> None:
    scene.apply(mailServer=mail_server(wiring="Manual"))


@pytest.mark.parametrize("change", [WITHDRAWALS["deletion"], say_manual])
def test_all_is_removed_after_a_change_while_the_operator_was_down(
    scene: Scene, installed: Installation, change: Callable[[Scene], object]
) -> None:
    before = scene.api.apply(workload(scene), field_manager="user")
    scene.apply(mailServer=mail_server())
    wait_until_wired(scene)
    installed.operator.stop()
    change(scene)
    assert is_wired(read(scene))
    installed.operator.start()
    wait_until_as_before(scene, before)


def test_restart_of_the_operator_leaves_a_wired_workload_unchanged(
    scene: Scene, installed: Installation
) -> None:
    scene.api.apply(workload(scene), field_manager="user")
    scene.apply(mailServer=mail_server())
    wait_until_wired(scene)
    scene.wait_for_condition("MailServerReady", "True")
    before = read(scene)["metadata"]
    installed.operator.stop()
    installed.operator.start()
    scene.apply(mailServer=mail_server(), hostname="other.example.com")
    scene.wait_for_condition("MailServerReady", "True")
    after = read(scene)["metadata"]
    assert after["generation"] == before["generation"]
    assert [e for e in after["managedFields"] if e["manager"] == MANAGER] == [
        e for e in before["managedFields"] if e["manager"] == MANAGER
    ]


def test_second_reconcile_writes_nothing(scene: Scene, installed: Installation) -> None:
    scene.api.apply(workload(scene), field_manager="user")
    scene.apply(mailServer=mail_server())
    wait_until_wired(scene)
    scene.wait_for_condition("MailServerReady", "True")

    written = len(find_writes(installed, scene))
    for number in range(5):
        scene.apply(mailServer=mail_server(), hostname=f"host{number}.example.com")
        scene.wait_for_condition("MailServerReady", "True")
    assert find_writes(installed, scene)[written:] == []


def test_removed_mounts_are_added_again(scene: Scene) -> None:
    manifest = scene.api.apply(workload(scene), field_manager="user")
    scene.apply(mailServer=mail_server())
    wait_until_wired(scene)
    path = f"/apis/apps/v1/namespaces/{scene.mail}/deployments/dms"
    del manifest["metadata"]["resourceVersion"]
    scene.api.request("PUT", path, manifest)
    wait_until_wired(scene)
    assert our_mounts(read(scene)) == MOUNTS


def test_change_of_trust_restarts_the_workload_if_the_user_wants_that(scene: Scene) -> None:
    before = scene.api.apply(workload(scene), field_manager="user")
    scene.apply(mailServer=mail_server(wiring="Manual", trustUpdate="Restart"))

    def seen() -> str:
        template = read(scene)["spec"]["template"]["metadata"]
        return str(template.get("annotations", {}).get("mailproxy.dev/trust-hash"))

    def is_current() -> bool:
        return seen() == scene.status().get("trustHash")

    wait_for(is_current, SETTLE_SECONDS, seen)
    first = seen()
    scene.add_proxy_pod("traefik-9", "10.1.0.9")
    wait_for(lambda: is_current() and seen() != first, SETTLE_SECONDS, seen)
    assert our_mounts(read(scene)) == {}
    scene.apply(mailServer=mail_server(wiring="Manual"))
    wait_until_as_before(scene, before)
