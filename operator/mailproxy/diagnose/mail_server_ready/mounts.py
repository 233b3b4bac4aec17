"""Pods that do not see our files as they must, and the lines that cure it."""

from collections.abc import Iterator, Sequence

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mail_server import Wiring
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.observed.pod import Container, Pod
from mailproxy.observed.volumes import Mount, Source
from mailproxy.plan.rollout.mounts import (
    MountFault,
    Wanted,
    WrongMount,
    find_container,
    find_wanted,
    find_wrong_mounts,
)


def find_unmounted(case: Case, pods: list[Pod]) -> Iterator[Finding]:
    """Each pod that lacks mounts, with what to add."""
    wanted = find_wanted(case.proxy, case.world, case.plan)
    if wanted is None:
        return
    for pod in pods:
        if message := _explain_pod(case, pod, wanted):
            yield Finding(ConditionType.MAIL_SERVER_READY, Reason.OVERRIDES_NOT_MOUNTED, message)


def _explain_pod(case: Case, pod: Pod, wanted: Wanted) -> str:
    """Which mounts a pod lacks; empty if none."""
    spec = case.proxy.spec.mail_server
    container = find_container(pod, spec.container_name)
    if container is None:
        names = ", ".join(c.name for c in pod.containers)
        return (
            f"Pod {pod.name} has no container `{spec.container_name}`, but {names}: fix"
            " `spec.mailServer.containerName`."
        )
    wrong = find_wrong_mounts(pod, container, wanted)
    if not wrong:
        return ""
    faults = "; it ".join(_explain_fault(mount, wanted) for mount in wrong)
    if spec.wiring == Wiring.INJECT and (ref := spec.workload_ref):
        return (
            f"Pod {pod.name} {faults}. The operator has put the mounts into {ref.kind} {ref.name}:"
            " pods that it creates from now on have them; delete this one if it stays."
        )
    lines = _render_lines(pod, container, wrong, wanted)
    return (
        f"Pod {pod.name} {faults}. Add to its pod template: {lines}; or set"
        " `spec.mailServer.wiring: Inject`."
    )


def _explain_fault(mount: WrongMount, wanted: Wanted) -> str:
    """What is wrong with one mount, as a clause about the pod."""
    if file := mount.wanted.sub_path:
        what, where = f"{file} of ConfigMap {wanted.overrides}", mount.path
    else:
        what, where = f"ConfigMap {wanted.trust}", f"the directory {mount.path}"
    if mount.fault == MountFault.NEVER_UPDATED:
        return (
            f"mounts {mount.path} with `subPath`, which is never updated, so trust would stay as it"
            f" was at the start: mount ConfigMap {wanted.trust} whole, as a directory"
        )
    if mount.fault == MountFault.OTHER_CONTENT:
        return f"mounts something other than {what} at {mount.path}"
    return f"does not mount {what} {'at' if file else 'as'} {where}"


def _render_lines(
    pod: Pod, container: Container, wrong: Sequence[WrongMount], wanted: Wanted
) -> str:
    """Lines to add to the pod template, as one line of YAML each for volumes and volumeMounts."""
    names = _name_volumes(pod, wanted)
    known = {volume.name for volume in pod.volumes}
    needed = {mount.wanted.volume for mount in wrong}
    volumes = ", ".join(
        f"{{name: {names[volume]}, configMap: {{name: {config_map}}}}}"
        for volume, config_map in wanted.config_maps.items()
        if volume in needed and names[volume] not in known
    )
    mounts = ", ".join(_render_mount(mount.wanted, names) for mount in wrong)
    lines = [f"volumes: [{volumes}]"] if volumes else []
    return "; ".join([*lines, f"volumeMounts of container {container.name}: [{mounts}]"])


def _render_mount(mount: Mount, names: dict[str, str]) -> str:
    sub_path = f", subPath: {mount.sub_path}" if mount.sub_path else ""
    return f"{{name: {names[mount.volume]}, mountPath: {mount.path}{sub_path}}}"


def _name_volumes(pod: Pod, wanted: Wanted) -> dict[str, str]:
    """Names of the volumes: those that the pod already has of these ConfigMaps, or ours."""
    names: dict[str, str] = {}
    for ours, config_map in wanted.config_maps.items():
        whole = [v.name for v in pod.volumes if [s for s in v.sources if _is_all(s, config_map)]]
        names[ours] = whole[0] if whole else ours
    return names


def _is_all(source: Source, config_map: str) -> bool:
    return source.config_map == config_map and not source.files
