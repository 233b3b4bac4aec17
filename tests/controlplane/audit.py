"""The API server's own record of who asked for what: the judge of "writes nothing"."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
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
    """The audit log of one control plane; `arguments` go to its API server."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "audit.log"
        policy = directory / "audit-policy.json"
        policy.write_text(json.dumps(POLICY))
        self.arguments = (
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self._log}",
            "--audit-log-mode=blocking",
        )

    def events(self) -> list[dict[str, Any]]:
        """All entries so far, as `audit.k8s.io/v1` has them."""
        lines = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def requests(self, matches: Callable[[Request], bool] = lambda _: True) -> list[Request]:
        """All requests so far that match."""
        return [request for request in map(_parse, self.events()) if matches(request)]

    def of_operator(self) -> list[Request]:
        """What our own client has sent."""
        return self.requests(lambda request: request.agent.startswith(OPERATOR_AGENT))

    def writes(self) -> list[Request]:
        """What our own client has written."""
        return [request for request in self.of_operator() if request.is_write]


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
