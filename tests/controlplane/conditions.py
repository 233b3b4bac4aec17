"""What an object's conditions say."""

from tests.controlplane.api import Manifest


def find_condition(proxy: Manifest, type_: str) -> Manifest:
    """One condition of a MailProxy, only if it speaks of the present spec; else empty."""
    for condition in proxy.get("status", {}).get("conditions", []):
        is_current = condition["observedGeneration"] == proxy["metadata"]["generation"]
        if condition["type"] == type_ and is_current:
            return dict(condition)
    return {}


def is_ready(manifest: Manifest) -> bool:
    """Whether a pod or a node is Ready; their own controllers keep that up to date."""
    conditions = manifest["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
