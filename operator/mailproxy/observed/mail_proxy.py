"""A MailProxy as it lies in the cache: parsed if it can be, with its status as it was last seen."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mailproxy.api.mailproxy import MailProxy, describe_errors
from mailproxy.identity import ObjectKey


@dataclass(frozen=True)
class StoredProxy:
    """`proxy` is None where the model refuses the spec; `errors` then says why."""

    key: ObjectKey
    uid: str
    generation: int
    resource_version: str
    is_deleting: bool
    proxy: MailProxy | None
    errors: str
    status: dict[str, Any]

    def asks_the_same(self, other: "StoredProxy | None") -> bool:
        """Whether both want the same: only status or metadata of no interest differ."""
        return other is not None and (self.uid, self.proxy, self.is_deleting) == (
            other.uid,
            other.proxy,
            other.is_deleting,
        )


def read_proxy(body: dict[str, Any]) -> StoredProxy:
    """Project a MailProxy; a spec that makes no sense is kept as its errors, never raised."""
    metadata = body["metadata"]
    proxy: MailProxy | None = None
    errors = ""
    try:
        proxy = MailProxy.model_validate({"metadata": metadata, "spec": body.get("spec") or {}})
    except ValidationError as error:
        errors = describe_errors(error)
    return StoredProxy(
        key=ObjectKey(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        resource_version=metadata["resourceVersion"],
        is_deleting="deletionTimestamp" in metadata,
        proxy=proxy,
        errors=errors,
        status=body.get("status") or {},
    )
