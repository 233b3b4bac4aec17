"""The admission policy of `manifests/components/wiring`: what the operator's account may do."""

from typing import Any

import pytest

from tests.controlplane.api import ApiStatus, Manifest
from tests.integration.cluster import Installation
from tests.integration.scene import Scene
from tests.integration.wiring.workload import CONSENT, workload


class Account:
    """The operator's account, used to do harm."""

    def __init__(self, installed: Installation, scene: Scene) -> None:
        self._api, self._namespace = installed.account(), scene.mail

    def patch(self, patch: Manifest) -> Manifest:
        return self._api.merge_patch("Deployment", "dms", patch, self._namespace)

    def is_refused(self, patch: Manifest, why: str) -> bool:
        with pytest.raises(ApiStatus, match="mailproxy-operator-wiring") as refusal:
            self.patch(patch)
        return why in refusal.value.message


def pod_patch(**spec: Any) -> Manifest:
    return {"spec": {"template": {"spec": spec}}}


def test_policy_lets_the_account_change_only_what_consents(
    scene: Scene, installed: Installation
) -> None:
    manifest = workload(scene, consents=False)
    scene.api.apply(manifest, field_manager="user")
    account = Account(installed, scene)
    label = {"metadata": {"labels": {"mailproxy.dev/wired-by": "mail"}}}
    assert account.is_refused(label, "does not carry the annotation")
    consent = {"metadata": {"annotations": {CONSENT: "true"}}}
    assert account.is_refused(consent, "does not carry the annotation")
    scene.api.apply(workload(scene), field_manager="user")
    account.patch(label)
    for value in (None, "false"):
        taken = {"metadata": {"annotations": {CONSENT: value}}}
        assert account.is_refused(taken, "must not change the annotation")


def test_policy_lets_the_account_change_nothing_but_mounts(
    scene: Scene, installed: Installation
) -> None:
    scene.api.apply(workload(scene), field_manager="user")
    account = Account(installed, scene)
    pod = workload(scene)["spec"]["template"]["spec"]
    main, other = pod["containers"]
    harmful: list[Manifest] = [
        pod_patch(containers=[main | {"image": "new"}, other]),
        pod_patch(containers=[main | {"command": ["new"]}, other]),
        pod_patch(containers=[main | {"env": []}, other]),
        pod_patch(containers=[main | {"securityContext": {"runAsUser": 0}}, other]),
        pod_patch(containers=[main | {"volumeMounts": []}, other]),
        pod_patch(containers=[main | {"readinessProbe": {"exec": {"command": ["new"]}}}, other]),
        pod_patch(containers=[main, other, {"name": "new", "image": "new"}]),
        pod_patch(containers=[main]),
        pod_patch(initContainers=[{"name": "new", "image": "new"}]),
        pod_patch(hostNetwork=True),
        pod_patch(hostPID=True),
        pod_patch(serviceAccountName="admin"),
        pod_patch(shareProcessNamespace=True),
        pod_patch(securityContext={"runAsUser": 0}),
        pod_patch(volumes=[*pod["volumes"], {"name": "host", "hostPath": {"path": "/"}}]),
        pod_patch(
            volumes=[*pod["volumes"], {"name": "mailproxy-trust", "hostPath": {"path": "/"}}]
        ),
        pod_patch(
            volumes=[*pod["volumes"], {"name": "mailproxy-x", "configMap": {"name": "secrets"}}]
        ),
        {"spec": {"replicas": 5}},
        {"spec": {"template": {"metadata": {"labels": {"new": "yes"}}}}},
    ]
    for patch in harmful:
        assert account.is_refused(patch, "mailproxy may"), patch


def test_policy_does_not_apply_to_others(scene: Scene) -> None:
    scene.api.apply(workload(scene, consents=False), field_manager="user")
    scene.api.merge_patch("Deployment", "dms", {"spec": {"replicas": 2}}, scene.mail)
