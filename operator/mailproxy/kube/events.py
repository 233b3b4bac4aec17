"""Kubernetes Events about the user's objects: seldom, short, and never in the way of the work."""

import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from mailproxy.identity import Resource
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import ApiError, TransientError
from mailproxy.options import Options

EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
CONTROLLER = "mailproxy.dev/operator"
NOTE_BYTES = 1024  # the API server refuses more
MAX_OBJECTS = 4096  # whose rate is remembered; client-go's number, too

log = logging.getLogger(__name__)


class EventRecorder:
    """Records Events in the name of one replica (`instance`, the pod's name)."""

    def __init__(
        self,
        client: KubeClient,
        instance: str,
        options: Options,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._options = options
        self._instance = instance[:128]
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def record(
        self,
        regarding: Mapping[str, str],
        type: Literal["Normal", "Warning"],  # noqa: A002  the field's own name
        reason: str,
        note: str,
        action: str,
    ) -> None:
        """Record one Event about `regarding` (apiVersion, kind, namespace, name, uid).

        An Event is a courtesy: one that is over the rate or that the API server refuses is
        logged and dropped.
        """
        if not self._admit(regarding["uid"]):
            log.debug("event dropped, too many about %s: %s %s", regarding["name"], reason, note)
            return
        namespace = regarding.get("namespace") or "default"
        manifest = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            # As client-go names them: the object and something that is never twice the same.
            "metadata": {
                "name": f"{regarding['name'][:200].rstrip('.-')}.{uuid.uuid4().hex[:16]}",
                "namespace": namespace,
            },
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "regarding": dict(regarding),
            "type": type,
            "reason": reason,
            "note": note.encode()[:NOTE_BYTES].decode(errors="ignore"),
            "action": action,
        }
        try:
            await self._client.create(EVENTS, namespace, manifest)
        except (ApiError, TransientError) as error:
            log.warning("event lost: %s %s: %s", reason, regarding["name"], error)

    def _admit(self, uid: str) -> bool:
        """Take a token from the object's bucket, if one is left."""
        now = self._clock()
        burst, refill = self._options.event_burst, self._options.event_refill_seconds
        tokens, filled = self._buckets.pop(uid, (float(burst), now))
        tokens = min(burst, tokens + (now - filled) / refill)
        admitted = tokens >= 1
        self._buckets[uid] = (tokens - admitted, now)
        if len(self._buckets) > MAX_OBJECTS:
            self._buckets.popitem(last=False)
        return admitted
