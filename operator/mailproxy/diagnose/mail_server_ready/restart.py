"""Pods that started before the overrides last changed."""

from collections.abc import Iterator

from mailproxy.api.conditions import ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case
from mailproxy.identity import ObjectRef
from mailproxy.observed.pod import Pod
from mailproxy.plan.rollout.mounts import find_container


def find_outdated(case: Case, pods: list[Pod]) -> Iterator[Finding]:
    """Each pod that must be restarted. Times in RFC 3339 sort as texts."""
    spec, name = case.proxy.spec.mail_server, case.proxy.overrides_name
    overrides = case.world.children.get(ObjectRef("ConfigMap", name))
    for pod in pods if overrides else ():
        container = find_container(pod, spec.container_name)
        changed_at = overrides.changed_at if overrides else ""
        if container and container.started_at and container.started_at < changed_at:
            message = (
                f"Pod {pod.name} started at {container.started_at}, before ConfigMap {name} changed"
                f" at {changed_at}. The mail server reads it only when it starts: run"
                f" `{_find_command(case, pod)}`."
            )
            yield Finding(ConditionType.MAIL_SERVER_READY, Reason.RESTART_PENDING, message)


def _find_command(case: Case, pod: Pod) -> str:
    namespace = case.proxy.namespace
    if ref := case.proxy.spec.mail_server.workload_ref:
        return f"kubectl rollout restart {ref.kind.lower()}/{ref.name} -n {namespace}"
    return (
        "kubectl rollout restart` for its Deployment or StatefulSet, or `kubectl delete pod"
        f" {pod.name} -n {namespace}"
    )
