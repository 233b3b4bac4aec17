"""Builders of the mail server's pods and of the workload that makes them, as the API sends them."""

from collections.abc import Sequence
from typing import Any

from tests.unit.worlds import MAIL_LABELS, Body, pod_body


def mail_pod_body(
    name: str = "dms-0",
    *,
    mounts: Sequence[Body] | None = None,
    volumes: Sequence[Body] | None = None,
    env: dict[str, str] | None = None,
    started: str = "2026-07-01T11:00:00Z",
    **content: Any,
) -> Body:
    """A running pod of docker-mailserver; without `mounts` it has those that README names."""
    if mounts is None:
        mounts = [
            *(override_mount(file) for file in ("dovecot.cf", "user-patches.sh")),
            {"name": "trust", "mountPath": "/etc/mailproxy/trust"},
        ]
    if volumes is None:
        volumes = [config_map_volume("overrides"), config_map_volume("trust")]
    variables = [{"name": key, "value": value} for key, value in (env or {}).items()]
    container = {
        "name": "mail",
        "image": "docker.io/mailserver/docker-mailserver:15.1.0",
        "env": variables,
        "volumeMounts": list(mounts),
    }
    options = {"namespace": "mail", "labels": MAIL_LABELS, "containers": [container]} | content
    body = pod_body(name, ["10.244.2.9"], **options)
    body["spec"]["volumes"] = list(volumes)
    statuses = [
        {"name": c["name"], "state": {"running": {"startedAt": started}}}
        for c in options["containers"]
    ]
    body["status"]["containerStatuses"] = statuses
    return body


def override_mount(file: str, **content: str) -> Body:
    """A mount of one file of `mail-overrides`."""
    path = f"/tmp/docker-mailserver/{file}"
    return {"name": "overrides", "mountPath": path, "subPath": file} | content


def config_map_volume(suffix: str, **content: Any) -> Body:
    """The volume `<suffix>` of the ConfigMap `mail-<suffix>`."""
    return {"name": suffix, "configMap": {"name": f"mail-{suffix}"} | content}


def workload_body(
    name: str = "dms",
    kind: str = "Deployment",
    *,
    annotations: dict[str, str] | None = None,
    containers: Sequence[Body] | None = None,
    **content: Any,
) -> Body:
    """A workload that consents to being changed, of which we own nothing; `metadata` adds to it."""
    notes = {"mailproxy.dev/allow-wiring": "true"} if annotations is None else annotations
    metadata = {"name": name, "namespace": "mail", "uid": f"uid-{name}", "annotations": notes}
    pod = {"containers": list(containers or [{"name": "mail"}, {"name": "exporter"}])}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata | content.pop("metadata", {}),
        "spec": {"template": {"metadata": {}, "spec": pod | content}},
    }
