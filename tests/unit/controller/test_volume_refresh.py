"""Which mail pods get a volume refresh for which list, how often, and what happens on failures."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.worlds import (
    complete,
    mail_proxy_body,
    observe,
    pod_body,
    selecting,
    service_body,
)

from mailproxy.controller.memory import Memories
from mailproxy.controller.step import Pass
from mailproxy.controller.volume_refresh import VolumeRefresher
from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.kube.errors import ApiError, Forbidden, NotFound, TransientError
from mailproxy.observed.mail_proxy import read_proxy
from mailproxy.observed.pod import Pod, read_pod
from mailproxy.options import Options
from mailproxy.plan.build import build_plan
from mailproxy.plan.model import find_trust_hash
from mailproxy.plan.rollout.volume_refresh import wants_volume_refresh

KEY = ObjectKey("mail", "mail")
OLD, HASH = "0" * 16, "ab" * 8
OPTIONS = Options(
    volume_refresh_pauses=(3.0, 9.0, 27.0),
    volume_refresh_forbidden_seconds=200.0,
    volume_refresh_retry_seconds=4.0,
)
PAUSES = OPTIONS.volume_refresh_pauses
RESYNC = 300.0


def mail_pod(name: str = "dms-0", annotation: str = "", **content: Any) -> Pod:
    body = pod_body(name, ["10.244.2.1"], namespace="mail", **content)
    body["metadata"]["annotations"] = {"mailproxy.dev/trust-hash": annotation} if annotation else {}
    return read_pod(body)


def start_pass(
    memories: Memories, pods: Iterable[Pod] = (), key: ObjectKey = KEY, **server: Any
) -> Pass:
    """A pass over a MailProxy with these mail pods and one proxy pod."""
    mail_server = selecting(app="mail") | server
    body = mail_proxy_body(key.name, key.namespace, uid=f"uid-{key.name}", mailServer=mail_server)
    stored = read_proxy(complete(body))
    assert stored.proxy is not None
    world = observe(stored.proxy, [service_body(), pod_body()])
    plan = build_plan(stored.proxy, world)
    world = replace(world, mail_pods=tuple(pods))
    return Pass(stored, stored.proxy, world, plan, memories.get(key), again_in=RESYNC)


@dataclass
class Cluster:
    """An API server as far as volume refreshes need one, a clock, and who writes the refreshes."""

    error: Exception | None = None
    now: float = 1000.0
    written: list[tuple[str, str]] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The operator starts anew and remembers nothing."""
        self.memories = Memories()
        self.refresher = VolumeRefresher(self, OPTIONS, lambda: self.now)  # type: ignore[arg-type]

    async def merge_patch(self, _: object, namespace: str, name: str, patch: Any) -> None:
        assert namespace == KEY.namespace
        assert list(patch) == ["metadata"]
        self.uids.append(patch["metadata"]["uid"])
        (annotation,) = patch["metadata"]["annotations"].items()
        assert annotation[0] == "mailproxy.dev/trust-hash"
        self.written.append((name, annotation[1]))
        if self.error:
            raise self.error

    async def refresh(
        self, *pods: Pod, trust_hash: str = HASH, rejected: bool = False, key: ObjectKey = KEY
    ) -> float | None:
        """Refresh what needs it; returns the seconds after which to come again."""
        current = start_pass(self.memories, pods, key)
        return await self.refresher.refresh(current, trust_hash, rejected=rejected)

    async def is_allowed(self, namespace: str = "mail") -> bool | None:
        """What a pass without mail pods learns of the right to refresh."""
        current = start_pass(self.memories, key=ObjectKey(namespace, "mail"))
        await self.refresher.run(current)
        return current.evidence.volume_refresh_allowed

    def take(self) -> list[tuple[str, str]]:
        """The annotations that were written since, by pod."""
        written, self.written = self.written, []
        return written


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_every_live_pod_with_another_hash_is_refreshed(cluster: Cluster) -> None:
    pods = [
        mail_pod("dms-0"),
        mail_pod("dms-1", OLD),
        mail_pod("dms-2", HASH),
        mail_pod("dms-3", f"{HASH}.3"),
        mail_pod("dms-4", OLD, phase="Failed"),
    ]
    assert await cluster.refresh(*pods) is None
    assert cluster.take() == [("dms-0", HASH), ("dms-1", HASH)]
    assert cluster.uids == ["uid-dms-0", "uid-dms-1"]


@pytest.mark.parametrize("annotation", ["", OLD, "nonsense", f"{HASH}.22", f"{HASH}x", HASH[:15]])
async def test_foreign_annotation_counts_as_none(cluster: Cluster, annotation: str) -> None:
    await cluster.refresh(mail_pod(annotation=annotation))
    assert cluster.take() == [("dms-0", HASH)]


async def test_only_the_present_list_counts(cluster: Cluster) -> None:
    for trust_hash in (OLD, HASH, OLD):
        await cluster.refresh(mail_pod(), trust_hash=trust_hash)
    assert [hash_ for _, hash_ in cluster.take()] == [OLD, HASH, OLD]


async def test_pod_is_not_refreshed_again_while_the_cache_lags_behind(cluster: Cluster) -> None:
    for _ in range(3):
        assert await cluster.refresh(mail_pod(annotation=OLD)) is None
        cluster.now += 1
    assert len(cluster.take()) == 1


async def test_two_mailproxies_of_one_pod_do_not_refresh_it_for_ever(cluster: Cluster) -> None:
    other, annotation = ObjectKey("mail", "other"), ""
    for _ in range(5):
        for key, trust_hash in ((KEY, OLD), (other, HASH)):
            pod = mail_pod(annotation=annotation)
            await cluster.refresh(pod, trust_hash=trust_hash, key=key)
            annotation = cluster.written[-1][1]
    assert len(cluster.take()) == 2


async def test_new_pod_of_the_same_name_is_refreshed(cluster: Cluster) -> None:
    await cluster.refresh(mail_pod())
    await cluster.refresh(replace(mail_pod(), uid="another"))
    assert cluster.uids == ["uid-dms-0", "another"]


async def test_refresh_is_repeated_a_few_times_with_growing_pauses_while_a_header_is_rejected(
    cluster: Cluster,
) -> None:
    for pause in PAUSES:
        wait = await cluster.refresh(mail_pod(), rejected=True)
        cluster.now += pause - 1
        assert await cluster.refresh(mail_pod(), rejected=True) == pytest.approx(1)
        assert wait in (None, pause)
        cluster.now += 1
    await cluster.refresh(mail_pod(), rejected=True)
    for _ in range(5):
        cluster.now += 1000
        assert await cluster.refresh(mail_pod(), rejected=True) is None
    assert [a for _, a in cluster.take()] == [HASH, *(f"{HASH}.{n}" for n in (2, 3, 4))]


async def test_operator_that_starts_anew_goes_on_with_the_refreshes(cluster: Cluster) -> None:
    await cluster.refresh(mail_pod(), rejected=True)
    cluster.now += PAUSES[0]
    await cluster.refresh(mail_pod(annotation=HASH), rejected=True)
    assert cluster.take() == [("dms-0", HASH), ("dms-0", f"{HASH}.2")]
    cluster.restart()
    pod = mail_pod(annotation=f"{HASH}.2")
    assert await cluster.refresh(pod, rejected=True) == pytest.approx(PAUSES[1])
    cluster.now += PAUSES[1]
    await cluster.refresh(pod, rejected=True)
    assert cluster.take() == [("dms-0", f"{HASH}.3")]


async def test_missing_right_is_tried_again_late_and_once_for_all_pods(cluster: Cluster) -> None:
    assert await cluster.is_allowed() is None
    cluster.error = Forbidden(403, "Forbidden", "no")
    pods = [mail_pod("dms-0"), mail_pod("dms-1")]
    for trust_hash in (HASH, OLD):
        wait = await cluster.refresh(*pods, trust_hash=trust_hash, rejected=True)
        assert wait == pytest.approx(OPTIONS.volume_refresh_forbidden_seconds)
        assert await cluster.is_allowed() is False
    assert cluster.take() == [("dms-0", HASH)]
    cluster.now += OPTIONS.volume_refresh_forbidden_seconds
    cluster.error = None
    assert await cluster.refresh(*pods, trust_hash=OLD) is None
    assert cluster.take() == [("dms-0", OLD), ("dms-1", OLD)]
    assert await cluster.is_allowed() is True


async def test_missing_right_in_one_namespace_says_nothing_of_another(cluster: Cluster) -> None:
    cluster.error = Forbidden(403, "Forbidden", "no")
    await cluster.refresh(mail_pod())
    assert await cluster.is_allowed("mail") is False
    assert await cluster.is_allowed("elsewhere") is None


@pytest.mark.parametrize(
    "error",
    [NotFound(404, "NotFound", "gone"), ApiError(422, "Invalid", "uid: field is immutable")],
)
async def test_pod_that_is_gone_is_no_failure(cluster: Cluster, error: Exception) -> None:
    cluster.error = error
    assert await cluster.refresh(mail_pod()) is None
    assert await cluster.is_allowed() is None


async def test_lost_connection_is_tried_again_soon(cluster: Cluster) -> None:
    cluster.error = TransientError("lost")
    assert await cluster.refresh(mail_pod()) == OPTIONS.volume_refresh_retry_seconds
    cluster.error, cluster.now = None, cluster.now + OPTIONS.volume_refresh_retry_seconds
    assert await cluster.refresh(mail_pod()) is None
    assert len(cluster.take()) == 2


async def test_lost_connection_is_tried_again_as_late_as_the_server_asks(cluster: Cluster) -> None:
    cluster.error = TransientError("slowly", retry_after=60)
    assert await cluster.refresh(mail_pod()) == 60


async def test_pass_refreshes_for_its_own_list_and_comes_back_while_a_header_is_rejected(
    cluster: Cluster,
) -> None:
    for accepted, again_in in ((True, RESYNC), (False, PAUSES[0])):
        current = start_pass(cluster.memories, [mail_pod()])
        (proxy_pod,) = current.plan.edge.pods
        current.learn(header_accepted={proxy_pod.addresses[0]: accepted})
        await cluster.refresher.run(current)
        assert current.again_in == again_in
        assert current.evidence.volume_refresh_allowed is True
    assert cluster.take() == [("dms-0", find_trust_hash(current.proxy, current.plan))]


async def test_pass_whose_list_was_not_written_refreshes_nothing(cluster: Cluster) -> None:
    current = start_pass(cluster.memories, [mail_pod()])
    current.errors[ObjectRef("ConfigMap", "mail-trust")] = TransientError("lost")
    await cluster.refresher.run(current)
    assert cluster.take() == []


@pytest.mark.parametrize("update", ["Manual", "Reload"])
async def test_pass_refreshes_only_for_reloads(cluster: Cluster, update: str) -> None:
    current = start_pass(cluster.memories, [mail_pod()], trustUpdate=update)
    assert wants_volume_refresh(current.proxy, current.plan) is (update == "Reload")
    await cluster.refresher.run(current)
    assert bool(cluster.take()) is (update == "Reload")
