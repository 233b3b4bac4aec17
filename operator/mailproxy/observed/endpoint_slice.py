"""An EndpointSlice, by what decisions need of it."""

from dataclasses import dataclass

from mailproxy.api.labels import NAME_LABEL
from mailproxy.observed.body import Object


@dataclass(frozen=True)
class Endpoints:
    """One EndpointSlice of a PROXY Service: whose it is, and whether any pod in it is ready.

    `owner` is the MailProxy's name, from our label, which Kubernetes copies from the Service.
    """

    owner: str
    ready: bool


def read_endpoints(body: Object) -> Endpoints:
    conditions = (endpoint.get("conditions") or {} for endpoint in body.get("endpoints") or [])
    # A missing `ready` means unknown, which is to be taken as true (EndpointSlice API).
    owner = (body["metadata"].get("labels") or {}).get(NAME_LABEL, "")
    return Endpoints(owner, ready=any(c.get("ready") is not False for c in conditions))
