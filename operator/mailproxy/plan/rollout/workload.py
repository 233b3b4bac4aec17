"""What is put into the mail server's workload, and why it must not be.

Who may create a MailProxy must not thereby gain the right to change a Deployment, so nothing is
put into one that does not say that it wants it.
"""

from typing import Any

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.labels import CONSENT_ANNOTATION, TRUST_ANNOTATION, WIRED_BY_LABEL
from mailproxy.api.mail_server import TrustUpdate, Wiring, WorkloadRef
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.identity import ObjectRef
from mailproxy.observed.workload import Workload
from mailproxy.observed.world import Unreadable, World
from mailproxy.plan.metadata import Manifest
from mailproxy.plan.model import Plan, find_trust_hash
from mailproxy.plan.rollout.mounts import Wanted, find_wanted

API_VERSION = "apps/v1"
COMPONENT = "manifests/components/wiring"


def inspect_workload(
    proxy: MailProxy,
    ref: WorkloadRef,
    workload: Workload | Unreadable | None,
    wanted: Wanted | None,
) -> Finding | None:
    """Why the workload cannot be changed for a MailProxy; None if it can.

    `wanted` is what is to be mounted; None if that is not known yet.
    """
    which = f"{ref.kind} {proxy.namespace}/{ref.name}"
    if isinstance(workload, Unreadable):
        message = (
            f"{which} cannot be read ({workload.why}). Install {COMPONENT}, which lets the operator"
            " change workloads that consent to it, or set `spec.mailServer.wiring` and"
            " `trustUpdate` to other values."
        )
        return _find(ref, Reason.WIRING_NOT_ALLOWED, message)
    if workload is None:
        message = f"{which} does not exist. Fix `spec.mailServer.workloadRef`, or create it."
        return _find(ref, Reason.WORKLOAD_NOT_FOUND, message)
    if not workload.consents:
        message = (
            f"{which} does not consent to being changed. Its owner allows it with `kubectl annotate"
            f" {ref.kind.lower()} {ref.name} -n {proxy.namespace} {CONSENT_ANNOTATION}=true`."
        )
        return _find(ref, Reason.WIRING_NOT_ALLOWED, message)
    if workload.wired_by not in ("", proxy.name):
        message = (
            f"{which} is already changed for MailProxy {workload.wired_by}, as its label"
            f" {WIRED_BY_LABEL} says: only one can have it. Set `spec.mailServer.wiring` and"
            " `trustUpdate` of one of the two to other values."
        )
        return _find(ref, Reason.WIRING_NOT_ALLOWED, message)
    return _inspect_template(proxy, ref, workload, wanted)


def _inspect_template(
    proxy: MailProxy, ref: WorkloadRef, workload: Workload, wanted: Wanted | None
) -> Finding | None:
    """A container that does not exist, or volumes and mounts of the user's where ours would go."""
    name = proxy.spec.mail_server.container_name
    which = f"{workload.kind} {workload.namespace}/{workload.name}"
    if name is not None and name not in workload.containers:
        message = (
            f"{which} has no container `{name}`, but {', '.join(workload.containers)}: fix"
            " `spec.mailServer.containerName`."
        )
        return _find(ref, Reason.WORKLOAD_NOT_FOUND, message)
    if proxy.spec.mail_server.wiring != Wiring.INJECT:
        return None
    for volume, config_map in workload.volumes:
        if config_map not in (proxy.overrides_name, proxy.trust_name):
            message = f"{which} has another volume called {volume}: rename it."
            return _find(ref, Reason.OVERRIDES_NOT_MOUNTED, message)
    theirs = {m.path: m for m in dict(workload.mounts).get(name or workload.containers[0], ())}
    for mount in wanted.mounts if wanted else ():
        if mount.path in theirs and theirs[mount.path] != mount:
            message = (
                f"{which} mounts its volume {theirs[mount.path].volume} at {mount.path}, where"
                " mailproxy's file belongs: remove that mount from its manifest, and put a file of"
                " your own into the ConfigMap of `spec.mailServer.overridesFrom`."
            )
            return _find(ref, Reason.OVERRIDES_NOT_MOUNTED, message)
    return None


def explain_refusal(ref: WorkloadRef, namespace: str, message: str, *, forbidden: bool) -> Finding:
    """The API server refuses our change."""
    which = f"{ref.kind} {namespace}/{ref.name}"
    if forbidden:
        text = f"The operator may not change {which} ({message}). Install {COMPONENT}."
        return _find(ref, Reason.WIRING_NOT_ALLOWED, text)
    return _find(ref, Reason.REFUSED, f"{which} cannot be changed: {message}.")


def _find(ref: WorkloadRef, reason: Reason, message: str) -> Finding:
    target = ObjectRef(str(ref.kind), ref.name)
    return Finding(ConditionType.MAIL_SERVER_READY, reason, message, target)


def build_wiring(proxy: MailProxy, world: World, plan: Plan, workload: Workload) -> Manifest | None:
    """What to apply to the workload, just the fields that become ours.

    None while the ConfigMaps that it would mount do not exist: its pods would wait for them.
    """
    spec = proxy.spec.mail_server
    template: dict[str, Any] = {}
    if spec.trust_update == TrustUpdate.RESTART:
        if not (trust_hash := find_trust_hash(proxy, plan)):
            return None
        template["metadata"] = {"annotations": {TRUST_ANNOTATION: trust_hash}}
    if spec.wiring == Wiring.INJECT:
        wanted = find_wanted(proxy, world, plan)
        if wanted is None or not _exist(world, wanted):
            return None
        container = spec.container_name or workload.containers[0]
        template["spec"] = _build_pod_spec(container, wanted)
    manifest = build_withdrawal(workload)
    manifest["metadata"]["labels"] = {WIRED_BY_LABEL: proxy.name}
    return manifest | {"spec": {"template": template}}


def _exist(world: World, wanted: Wanted) -> bool:
    refs = (ObjectRef("ConfigMap", name) for name in wanted.config_maps.values())
    return all(ref in world.children for ref in refs)


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
