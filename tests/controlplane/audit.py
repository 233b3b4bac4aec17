"""The API server's own record of who asked for what: the judge of "writes nothing"."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # The test and the controller manager, and the API server's requests to itself.
        {"level": "None", "users": ["admin", "system:apiserver"]},
        {"level": "Metadata"},
    ],
}
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
OPERATOR_AGENT = "mailproxy-operator/"


class Request(NamedTuple):
    """One request that was answered; a watch is there twice, when it opened and when it ended."""

    user: str
    agent: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    stage: str

    @property
    def is_write(self) -> bool:
        """Whether it could change something."""
        return self.verb in WRITES


class AuditLog:
    """The audit log of one control plane, of all requests but the administrator's.

    Attributes:
        directory: Where it is written; for the control plane too, if it has no other.
        arguments: For its API server.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._log = directory / "audit.log"
        self._position = 0  # up to which it has been read
        self._events: list[dict[str, Any]] = []
        policy = directory / "audit-policy.json"
        policy.write_text(json.dumps(POLICY))
        self.arguments = (
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self._log}",
            "--audit-log-mode=blocking",
        )

    def events(self) -> list[dict[str, Any]]:
        """All entries so far, as `audit.k8s.io/v1` has them."""
        if self._log.exists():
            with self._log.open("rb") as log:
                log.seek(self._position)
                for line in log:
                    if not line.endswith(b"\n"):
                        break  # it is being written
                    self._events.append(json.loads(line))
                    self._position += len(line)
        return list(self._events)

    def requests(self, matches: Callable[[Request], bool] = lambda _: True) -> list[Request]:
        """All requests so far that match."""
        return [request for request in map(_parse, self.events()) if matches(request)]

    def writes(self, namespace: str = "") -> list[Request]:
        """What our own client has written, in all namespaces or in one."""
        return self.requests(
            lambda request: (
                request.is_write
                and request.agent.startswith(OPERATOR_AGENT)
                and namespace in ("", request.namespace)
            )
        )


def _parse(event: dict[str, Any]) -> Request:
    reference = event.get("objectRef") or {}
    return Request(
        user=event["user"].get("username", ""),
        agent=event.get("userAgent", ""),
        verb=event["verb"],
        resource=reference.get("resource", ""),
        subresource=reference.get("subresource", ""),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        stage=event["stage"],
    )
