"""How a workload looks, and what of it is ours."""

from copy import deepcopy

from tests.controlplane.api import Manifest, wait_for
from tests.integration.scene import SETTLE_SECONDS, Scene

MANAGER = "mailproxy-wiring"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MOUNTS = {
    "/tmp/docker-mailserver/dovecot.cf": "dovecot.cf",
    "/tmp/docker-mailserver/user-patches.sh": "user-patches.sh",
    "/etc/mailproxy/trust": "",
}


def read(scene: Scene, kind: str = "Deployment", name: str = "dms") -> Manifest:
    return scene.api.get(kind, name, scene.mail)


def as_written(manifest: Manifest) -> Manifest:
    """A workload without what controllers and the API server note about it."""
    kept = deepcopy(manifest)
    for field in ("managedFields", "generation", "resourceVersion", "creationTimestamp", "uid"):
        kept["metadata"].pop(field, None)
    notes = kept["metadata"].get("annotations", {})
    for note in ("deployment.kubernetes.io/revision", LAST_APPLIED):
        notes.pop(note, None)
    if not notes:
        kept["metadata"].pop("annotations", None)
    kept.pop("status", None)
    return kept


def is_wired(manifest: Manifest) -> bool:
    return any(entry["manager"] == MANAGER for entry in manifest["metadata"]["managedFields"])


def wait_until_wired(scene: Scene, kind: str = "Deployment", name: str = "dms") -> Manifest:
    def look() -> Manifest | None:
        found = read(scene, kind, name)
        return found if is_wired(found) else None

    found = wait_for(look, SETTLE_SECONDS, lambda: scene.status().get("conditions"))
    assert found
    return found


def wait_until_as_before(scene: Scene, before: Manifest, kind: str = "Deployment") -> None:
    wait_for(
        lambda: as_written(read(scene, kind)) == as_written(before),
        SETTLE_SECONDS,
        lambda: as_written(read(scene, kind)),
    )
    assert not is_wired(read(scene, kind))


def our_mounts(manifest: Manifest) -> dict[str, str]:
    """Our mounts in the first container: path to file, empty for a directory."""
    mounts = manifest["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    ours = [mount for mount in mounts if mount["name"].startswith("mailproxy-")]
    return {mount["mountPath"]: mount.get("subPath", "") for mount in ours}
