"""What is put into the mail server's workload, and why it must not be.

Who may create a MailProxy must not thereby gain the right to change a Deployment, so nothing is
put into one that does not say that it wants it.
"""

from typing import Any

from mailproxy.api.labels import CONSENT_ANNOTATION, TRUST_ANNOTATION, WIRED_BY_LABEL
from mailproxy.api.mail_server import TrustUpdate, Wiring, WorkloadRef
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.observed.workload import Workload
from mailproxy.observed.world import World
from mailproxy.plan.metadata import Manifest
from mailproxy.plan.model import Plan, Problem, find_trust_hash
from mailproxy.plan.rollout.mounts import Wanted, find_wanted

API_VERSION = "apps/v1"
COMPONENT = "manifests/components/wiring"


def find_target(proxy: MailProxy) -> WorkloadRef | None:
    """The workload that a MailProxy wants changed; None when it wants none."""
    spec = proxy.spec.mail_server
    wants = spec.wiring == Wiring.INJECT or spec.trust_update == TrustUpdate.RESTART
    return spec.workload_ref if wants else None


def check_workload(
    proxy: MailProxy, ref: WorkloadRef, workload: Workload | None, error: str = ""
) -> Workload | Problem:
    """The workload, or why it cannot be changed for a MailProxy.

    `workload` is None when there is none, or when `error` says why it cannot be read.
    """
    which = f"{ref.kind} {proxy.namespace}/{ref.name}"
    if error:
        message = (
            f"{which} cannot be read ({error}): install {COMPONENT}, which grants the operator the"
            " right to change workloads that consent to it; or set `spec.mailServer.wiring` and"
            " `trustUpdate` to other values"
        )
        return _build_problem(ref, Reason.WIRING_NOT_ALLOWED, message)
    if workload is None:
        message = f"{which} does not exist: mend `spec.mailServer.workloadRef`, or create it"
        return _build_problem(ref, Reason.WORKLOAD_NOT_FOUND, message)
    if not workload.consents:
        message = (
            f"{which} does not consent to being changed. Its owner allows it with `kubectl annotate"
            f" {ref.kind.lower()} {ref.name} -n {proxy.namespace} {CONSENT_ANNOTATION}=true`"
        )
        return _build_problem(ref, Reason.WIRING_NOT_ALLOWED, message)
    if workload.wired_by not in ("", proxy.name):
        message = (
            f"{which} is changed for MailProxy {workload.wired_by} already, as its label"
            f" {WIRED_BY_LABEL} says: only one can have it"
        )
        return _build_problem(ref, Reason.WIRING_NOT_ALLOWED, message)
    return _find_clash(proxy, ref, workload) or workload


def _find_clash(proxy: MailProxy, ref: WorkloadRef, workload: Workload) -> Problem | None:
    """A container that is not there, or volumes and mounts of the user's where ours would go."""
    name = proxy.spec.mail_server.container_name
    which = f"{workload.kind} {workload.namespace}/{workload.name}"
    if name is not None and name not in workload.containers:
        message = (
            f"{which} has no container `{name}`, but {', '.join(workload.containers)}: mend"
            " `spec.mailServer.containerName`"
        )
        return _build_problem(ref, Reason.WORKLOAD_NOT_FOUND, message)
    if proxy.spec.mail_server.wiring != Wiring.INJECT:
        return None
    config_maps = {f"{proxy.name}-overrides", f"{proxy.name}-trust"}
    for volume, config_map in workload.volumes:
        if config_map not in config_maps:
            message = f"{which} has another volume of the name {volume}: rename it"
            return _build_problem(ref, Reason.OVERRIDES_NOT_MOUNTED, message)
    return None


def _find_taken(wanted: Wanted, container: str, workload: Workload) -> Problem | None:
    """A mount of the user's at a place where one of ours would go."""
    theirs = {mount.path: mount for mount in dict(workload.mounts).get(container, ())}
    taken = [m for m in wanted.mounts if m.path in theirs and theirs[m.path] != m]
    if not taken:
        return None
    mount = theirs[taken[0].path]
    message = (
        f"{workload.kind} {workload.namespace}/{workload.name} mounts its volume {mount.volume} at"
        f" {mount.path}: take that out of its manifest, as mailproxy's file belongs there; put a"
        " file of your own into the ConfigMap of `spec.mailServer.overridesFrom`"
    )
    return Problem((workload.kind, workload.name), Reason.OVERRIDES_NOT_MOUNTED, message)


def explain_refusal(ref: WorkloadRef, namespace: str, message: str, *, forbidden: bool) -> Problem:
    """The API server refuses our change."""
    which = f"{ref.kind} {namespace}/{ref.name}"
    if forbidden:
        text = f"the operator may not change {which} ({message}): install {COMPONENT}"
        return _build_problem(ref, Reason.WIRING_NOT_ALLOWED, text[0].upper() + text[1:])
    return _build_problem(ref, Reason.REFUSED, f"{which} cannot be changed: {message}")


def _build_problem(ref: WorkloadRef, reason: Reason, message: str) -> Problem:
    return Problem((str(ref.kind), ref.name), reason, message)


def build_wiring(
    proxy: MailProxy, world: World, plan: Plan, workload: Workload
) -> Manifest | Problem | None:
    """What to apply to the workload, just the fields that become ours.

    None while the ConfigMaps that it would mount are not there: its pods would wait for them.
    """
    spec = proxy.spec.mail_server
    template: dict[str, Any] = {}
    if spec.trust_update == TrustUpdate.RESTART:
        if not (trust_hash := find_trust_hash(proxy, plan)):
            return None
        template["metadata"] = {"annotations": {TRUST_ANNOTATION: trust_hash}}
    if spec.wiring == Wiring.INJECT:
        wanted = find_wanted(proxy, world, plan)
        if wanted is None or not _are_there(world, wanted):
            return None
        container = spec.container_name or workload.containers[0]
        if problem := _find_taken(wanted, container, workload):
            return problem
        template["spec"] = _build_pod_spec(container, wanted)
    manifest = build_withdrawal(workload)
    manifest["metadata"]["labels"] = {WIRED_BY_LABEL: proxy.name}
    return manifest | {"spec": {"template": template}}


def _are_there(world: World, wanted: Wanted) -> bool:
    return all(("ConfigMap", name) in world.children for name in wanted.config_maps.values())


def _build_pod_spec(container: str, wanted: Wanted) -> Manifest:
    mounts = [
        {"name": mount.volume, "mountPath": mount.path}
        | ({"subPath": mount.sub_path} if mount.sub_path else {})
        for mount in wanted.mounts
    ]
    return {
        "containers": [{"name": container, "volumeMounts": mounts}],
        "volumes": [
            {"name": volume, "configMap": {"name": config_map}}
            for volume, config_map in wanted.config_maps.items()
        ],
    }


def build_withdrawal(workload: Workload) -> Manifest:
    """An apply with no fields takes out all that we own. The uid makes sure that it is this one."""
    return {
        "apiVersion": API_VERSION,
        "kind": workload.kind,
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "uid": workload.uid,
        },
    }
