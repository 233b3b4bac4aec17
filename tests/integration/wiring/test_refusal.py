"""What the operator does not change, and the reason that `MailServerReady` gives."""

from tests.controlplane.api import wait_for
from tests.integration.cluster import Installation
from tests.integration.scene import Scene
from tests.integration.wiring.looking import MOUNTS, as_written, is_wired, read, wait_until_wired
from tests.integration.wiring.workload import CONSENT, mail_server, workload

BINDING = "mailproxy-operator-wiring"
RIGHT_SECONDS = 60.0  # we look again every 30 s


def test_nothing_is_changed_without_consent(scene: Scene, installed: Installation) -> None:
    before = scene.api.apply(workload(scene, consents=False), field_manager="user")
    scene.apply(mailServer=mail_server())
    message = scene.wait_for_condition("MailServerReady", "False", "WiringNotAllowed")["message"]
    command = f"kubectl annotate deployment dms -n {scene.mail} {CONSENT}=true"
    assert command in message
    assert as_written(read(scene)) == as_written(before)
    installed.plane.run_kubectl(*command.split()[1:])
    wait_until_wired(scene)
    scene.wait_for_condition("MailServerReady", "True")


def test_missing_workload_is_reported_and_found_when_it_is_created(scene: Scene) -> None:
    scene.apply(mailServer=mail_server())
    scene.wait_for_condition("MailServerReady", "False", "WorkloadNotFound")
    scene.api.apply(workload(scene), field_manager="user")
    wait_until_wired(scene)


def test_missing_container_is_reported(scene: Scene) -> None:
    scene.api.apply(workload(scene), field_manager="user")
    scene.apply(mailServer=mail_server(containerName="dovecot"))
    message = scene.wait_for_condition("MailServerReady", "False", "WorkloadNotFound")["message"]
    assert "has no container `dovecot`, but mail, exporter" in message
    scene.apply(mailServer=mail_server(containerName="exporter"))
    wired = wait_until_wired(scene)["spec"]["template"]["spec"]["containers"]
    assert {m["mountPath"] for m in wired[1]["volumeMounts"]} == MOUNTS.keys()


def test_workload_of_another_mail_proxy_is_left_alone(scene: Scene) -> None:
    scene.api.apply(workload(scene), field_manager="user")
    scene.apply(mailServer=mail_server())
    wired = wait_until_wired(scene)
    second = mail_server(podSelector={"matchLabels": {"app": "second"}})
    scene.apply("second", mailServer=second, ports=[{"name": "sieve"}])
    found = scene.wait_for_condition("MailServerReady", "False", "WiringNotAllowed", "second")
    assert "changed for MailProxy mail already" in found["message"]
    assert as_written(read(scene)) == as_written(wired)


def test_mount_of_the_user_is_not_overwritten(scene: Scene) -> None:
    manifest = workload(scene)
    path = "/tmp/docker-mailserver/dovecot.cf"
    mounts = manifest["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    mounts.append({"name": "data", "mountPath": path, "subPath": "dovecot.cf"})
    before = scene.api.apply(manifest, field_manager="user")
    scene.apply(mailServer=mail_server())
    message = scene.wait_for_condition("MailServerReady", "False", "OverridesNotMounted")["message"]
    assert f"mounts its volume data at {path}" in message
    assert as_written(read(scene)) == as_written(before)
    mounts.pop()
    scene.api.apply(manifest, field_manager="user")
    wait_until_wired(scene)


def test_missing_component_is_reported_and_all_else_works(
    scene: Scene, installed: Installation
) -> None:
    binding = installed.api.get("ClusterRoleBinding", BINDING)
    installed.operator.stop()
    installed.api.delete("ClusterRoleBinding", BINDING)
    try:
        installed.operator.start()
        scene.api.apply(workload(scene), field_manager="user")
        scene.apply(mailServer=mail_server())
        message = scene.wait_for_condition("MailServerReady", "False", "WiringNotAllowed")[
            "message"
        ]
        assert "install manifests/components/wiring" in message
        scene.wait_for_trust("10.1.0.1")
        scene.add_proxy_pod("traefik-9", "10.1.0.9")
        scene.wait_for_trust("10.1.0.1", "10.1.0.9")
    finally:
        del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
        installed.api.create(binding)
    wait_for(lambda: is_wired(read(scene)), RIGHT_SECONDS)
