"""Pokes mail pods, so that a changed list of trusted proxies reaches their mounts at once."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mailproxy.api.labels import TRUST_ANNOTATION
from mailproxy.controller.kinds import PODS
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import ApiError, NotFound, TransientError
from mailproxy.object_key import ObjectKey
from mailproxy.observed.pod import Pod
from mailproxy.plan.rollout.volume_refresh import build_annotation, count_pokes, find_pause

FORBIDDEN_SECONDS = 300.0  # nothing tells us when the right is granted
TRANSIENT_SECONDS = 5.0
UNPROCESSABLE = 422
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Poked:
    """The last poke of a pod that we know of, whoever may have overwritten its annotation since."""

    trust_hash: str
    number: int
    when: float


class Poker:
    """Writes the annotations, each once, and remembers where it may not.

    A poke is best effort: without it the kubelet looks by itself, later. So nothing is raised.
    """

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._poked: dict[ObjectKey, dict[str, _Poked]] = {}  # by the pods' uids
        self._allowed: dict[str, bool] = {}  # by namespace
        self._barred: dict[str, float] = {}  # namespaces that are left alone until then

    def is_allowed(self, namespace: str) -> bool | None:
        """Whether pods there may be poked; None when it has not been tried."""
        return self._allowed.get(namespace)

    def forget(self, key: ObjectKey) -> None:
        """The MailProxy is gone."""
        self._poked.pop(key, None)

    async def poke(
        self, key: ObjectKey, pods: Iterable[Pod], trust_hash: str, *, doubted: bool
    ) -> float | None:
        """Poke those live `pods` of the MailProxy `key` that need it.

        Returns the seconds after which to come again, None when there is no need.
        """
        live = {pod.uid: pod for pod in pods if pod.is_live}
        known = self._poked.get(key, {})
        self._poked[key] = known = {uid: known[uid] for uid in live if uid in known}
        waits: list[float] = []
        for uid, pod in sorted(live.items(), key=lambda item: item[1].name):
            last = self._find_last(known.get(uid), pod, trust_hash)
            if last.number:
                known[uid] = last
            pause = find_pause(last.number, doubted=doubted)
            if pause is None:
                continue
            wait = max(last.when + pause, self._barred.get(key.namespace, 0.0)) - self._clock()
            if wait <= 0:
                wait = await self._annotate(key, pod, trust_hash, last.number + 1) or 0.0
                if not wait:
                    known[uid] = _Poked(trust_hash, last.number + 1, self._clock())
                    continue
            waits.append(wait)
        return min(waits, default=None)

    def _find_last(self, known: _Poked | None, pod: Pod, trust_hash: str) -> _Poked:
        """The last poke for this list, by memory or by the pod's annotation; number 0 for none.

        What memory has is not done again even where the annotation says something else: the cache
        may lag behind, and a MailProxy of the same pod would overwrite it again.
        """
        number = count_pokes(pod.trust_annotation, trust_hash)
        if known and known.trust_hash == trust_hash and known.number >= number:
            return known
        return _Poked(trust_hash, number, self._clock() if number else 0.0)

    async def _annotate(
        self, key: ObjectKey, pod: Pod, trust_hash: str, number: int
    ) -> float | None:
        """Write one annotation; returns seconds to wait before a next try, None if it is done."""
        annotation = build_annotation(trust_hash, number)
        metadata = {"uid": pod.uid, "annotations": {TRUST_ANNOTATION: annotation}}
        try:
            await self._client.merge_patch(PODS, pod.namespace, pod.name, {"metadata": metadata})
        except TransientError as error:
            log.warning("%s/%s: cannot poke pod %s yet: %s", *key, pod.name, error)
            return self._bar(key.namespace, max(TRANSIENT_SECONDS, error.retry_after or 0.0))
        except ApiError as error:
            if isinstance(error, NotFound) or error.status == UNPROCESSABLE:
                return None  # it is gone, or another one has taken its name
            if self._allowed.get(key.namespace) is not False:
                log.warning("%s/%s: may not poke pod %s: %s", *key, pod.name, error)
            self._allowed[key.namespace] = False
            return self._bar(key.namespace, FORBIDDEN_SECONDS)
        self._allowed[key.namespace] = True
        log.info("%s/%s: poked pod %s with %s", *key, pod.name, annotation)
        return None

    def _bar(self, namespace: str, seconds: float) -> float:
        self._barred[namespace] = self._clock() + seconds
        return seconds
