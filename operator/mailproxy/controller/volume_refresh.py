"""Refreshes the volumes of mail pods, so that a changed trust list reaches their mounts at once."""

import logging
import time
from collections.abc import Callable

from mailproxy.api.labels import TRUST_ANNOTATION
from mailproxy.controller.memory import Refresh
from mailproxy.controller.step import Pass
from mailproxy.identity import PODS, ObjectKey, ObjectRef
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import ApiError, NotFound, TransientError
from mailproxy.observed.pod import Pod
from mailproxy.options import Options
from mailproxy.plan.model import find_trust_hash
from mailproxy.plan.rollout.volume_refresh import (
    build_annotation,
    count_refreshes,
    find_pause,
    is_header_rejected,
    wants_volume_refresh,
)

UNPROCESSABLE = 422

log = logging.getLogger(__name__)


class VolumeRefresher:
    """The step that writes the annotations, each once, and remembers where it may not.

    It is best effort: without it the kubelet syncs by itself, later. So nothing is raised.
    """

    def __init__(
        self, client: KubeClient, options: Options, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._options = options
        self._clock = clock
        self._allowed: dict[str, bool] = {}  # by namespace
        self._barred: dict[str, float] = {}  # namespaces that are left alone until then

    async def run(self, current: Pass) -> None:
        """Refresh those live mail pods that need it, if the trust list was written."""
        trust_hash = find_trust_hash(current.proxy, current.plan)
        is_written = current.is_written(ObjectRef("ConfigMap", current.proxy.trust_name))
        if trust_hash and is_written and wants_volume_refresh(current.proxy, current.plan):
            rejected = is_header_rejected(current.evidence, current.plan)
            current.come_back_in(await self.refresh(current, trust_hash, rejected=rejected))
        current.learn(volume_refresh_allowed=self._allowed.get(current.key.namespace))

    async def refresh(self, current: Pass, trust_hash: str, *, rejected: bool) -> float | None:
        """Refresh the pods; returns the seconds after which to come again, None if not needed."""
        key, memory = current.key, current.memory
        live = {pod.uid: pod for pod in current.world.mail_pods if pod.is_live}
        known = {uid: memory.refreshes[uid] for uid in live if uid in memory.refreshes}
        memory.refreshes = known
        waits: list[float] = []
        for uid, pod in sorted(live.items(), key=lambda item: item[1].name):
            last = self._find_last(known.get(uid), pod, trust_hash)
            if last.number:
                known[uid] = last
            pauses = self._options.volume_refresh_pauses
            pause = find_pause(last.number, pauses, rejected=rejected)
            if pause is None:
                continue
            wait = max(last.when + pause, self._barred.get(key.namespace, 0.0)) - self._clock()
            if wait <= 0:
                wait = await self._annotate(key, pod, trust_hash, last.number + 1) or 0.0
                if not wait:
                    known[uid] = Refresh(trust_hash, last.number + 1, self._clock())
                    continue
            waits.append(wait)
        return min(waits, default=None)

    def _find_last(self, known: Refresh | None, pod: Pod, trust_hash: str) -> Refresh:
        """The last refresh for this list, by memory or by the pod's annotation; number 0: none.

        What memory has is not done again even if the annotation says something else: the cache
        may lag behind, and a MailProxy of the same pod would overwrite it again.
        """
        number = count_refreshes(pod.trust_annotation, trust_hash)
        if known and known.trust_hash == trust_hash and known.number >= number:
            return known
        return Refresh(trust_hash, number, self._clock() if number else 0.0)

    async def _annotate(
        self, key: ObjectKey, pod: Pod, trust_hash: str, number: int
    ) -> float | None:
        """Write one annotation; returns seconds to wait before a next try, None if it is done."""
        annotation, options = build_annotation(trust_hash, number), self._options
        metadata = {"uid": pod.uid, "annotations": {TRUST_ANNOTATION: annotation}}
        try:
            await self._client.merge_patch(PODS, pod.namespace, pod.name, {"metadata": metadata})
        except TransientError as error:
            log.warning("%s/%s: cannot refresh volumes of pod %s yet: %s", *key, pod.name, error)
            wait = max(options.volume_refresh_retry_seconds, error.retry_after or 0.0)
            return self._bar(key.namespace, wait)
        except ApiError as error:
            if isinstance(error, NotFound) or error.status == UNPROCESSABLE:
                return None  # it is gone, or another one has taken its name
            if self._allowed.get(key.namespace) is not False:
                log.warning("%s/%s: may not refresh pod %s: %s", *key, pod.name, error)
            self._allowed[key.namespace] = False
            return self._bar(key.namespace, options.volume_refresh_forbidden_seconds)
        self._allowed[key.namespace] = True
        log.info("%s/%s: refreshed volumes of pod %s: %s", *key, pod.name, annotation)
        return None

    def _bar(self, namespace: str, seconds: float) -> float:
        self._barred[namespace] = self._clock() + seconds
        return seconds
