"""Names, labels and owner of every object that a MailProxy owns."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mailproxy.api.labels import EDGE_ANNOTATION, MANAGED_BY_LABEL, MANAGER, NAME_LABEL
from mailproxy.api.mail_services import MailService
from mailproxy.api.mailproxy import MailProxy
from mailproxy.identity import ObjectRef, Resource
from mailproxy.observed.kinds import CONFIG_MAPS

Manifest = dict[str, Any]


def service_name(proxy: MailProxy) -> str:
    return f"{proxy.name}-proxy"


def route_name(proxy: MailProxy, service: MailService) -> str:
    return f"{proxy.name}-{service.name}"


def policy_name(proxy: MailProxy) -> str:
    return f"{proxy.name}-proxy-ports"


def find_ref(manifest: Manifest) -> ObjectRef:
    """Kind and name of a manifest."""
    return ObjectRef(manifest["kind"], manifest["metadata"]["name"])


def build_child(proxy: MailProxy, resource: Resource, name: str, **content: Any) -> Manifest:
    """Put the frame around `content`: the user's labels and annotations are never copied.

    GitOps tools would take a child that carries theirs for an object to prune.
    """
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": proxy.namespace,
            "labels": {MANAGED_BY_LABEL: MANAGER, NAME_LABEL: proxy.name},
            "ownerReferences": [proxy.owner_reference],
        },
        **content,
    }


def build_config_map(
    proxy: MailProxy, name: str, files: dict[str, str], edge_annotation: str = ""
) -> Manifest:
    """ConfigMap with one key for each file; the annotation remembers the edge's pods."""
    manifest = build_child(proxy, CONFIG_MAPS, name, data=files)
    if edge_annotation:
        manifest["metadata"]["annotations"] = {EDGE_ANNOTATION: edge_annotation}
    return manifest


def hash_files(files: Mapping[str, str]) -> str:
    """Short fingerprint of rendered files: equal for equal names and contents, in any order."""
    text = json.dumps(dict(files), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
