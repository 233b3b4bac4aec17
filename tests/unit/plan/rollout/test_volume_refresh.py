"""Which mail pods are poked for which list, how often, and who answers for failures."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.worlds import mail_proxy, observe, pod_body, selecting, service_body

from mailproxy.controller.volume_refresh import FORBIDDEN_SECONDS, TRANSIENT_SECONDS, Poker
from mailproxy.kube.errors import ApiError, Forbidden, NotFound, TransientError
from mailproxy.object_key import ObjectKey
from mailproxy.observed.pod import Pod, read_pod
from mailproxy.plan.build import build_plan
from mailproxy.plan.model import find_trust_hash
from mailproxy.plan.rollout.volume_refresh import PAUSES, wants_pokes

KEY = ObjectKey("mail", "mail")
OLD, HASH = "0" * 16, "ab" * 8


def mail_pod(name: str = "dms-0", annotation: str = "", **content: Any) -> Pod:
    body = pod_body(name, ["10.244.2.1"], namespace="mail", **content)
    body["metadata"]["annotations"] = {"mailproxy.dev/trust-hash": annotation} if annotation else {}
    return read_pod(body)


@dataclass
class Cluster:
    """An API server as far as pokes need one, and a clock."""

    error: Exception | None = None
    now: float = 1000.0
    pokes: list[tuple[str, str]] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)

    async def merge_patch(self, _: object, namespace: str, name: str, patch: Any) -> None:
        assert namespace == KEY.namespace
        assert list(patch) == ["metadata"]
        self.uids.append(patch["metadata"]["uid"])
        (annotation,) = patch["metadata"]["annotations"].items()
        assert annotation[0] == "mailproxy.dev/trust-hash"
        self.pokes.append((name, annotation[1]))
        if self.error:
            raise self.error

    def take(self) -> list[tuple[str, str]]:
        pokes, self.pokes = self.pokes, []
        return pokes


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def poker(cluster: Cluster) -> Poker:
    return Poker(cluster, clock=lambda: cluster.now)  # type: ignore[arg-type]


async def test_every_live_pod_with_another_hash_is_poked(cluster: Cluster, poker: Poker) -> None:
    pods = [
        mail_pod("dms-0"),
        mail_pod("dms-1", OLD),
        mail_pod("dms-2", HASH),
        mail_pod("dms-3", f"{HASH}.3"),
        mail_pod("dms-4", OLD, phase="Failed"),
    ]
    assert await poker.poke(KEY, pods, HASH, doubted=False) is None
    assert cluster.take() == [("dms-0", HASH), ("dms-1", HASH)]
    assert cluster.uids == ["uid-dms-0", "uid-dms-1"]


@pytest.mark.parametrize("annotation", ["", OLD, "nonsense", f"{HASH}.22", f"{HASH}x", HASH[:15]])
async def test_foreign_annotation_counts_as_none(
    cluster: Cluster, poker: Poker, annotation: str
) -> None:
    await poker.poke(KEY, [mail_pod(annotation=annotation)], HASH, doubted=False)
    assert cluster.take() == [("dms-0", HASH)]


async def test_only_the_present_list_counts(cluster: Cluster, poker: Poker) -> None:
    for trust_hash in (OLD, HASH, OLD):
        await poker.poke(KEY, [mail_pod()], trust_hash, doubted=False)
    assert [hash_ for _, hash_ in cluster.take()] == [OLD, HASH, OLD]


async def test_pod_is_not_poked_again_while_the_cache_lags_behind(
    cluster: Cluster, poker: Poker
) -> None:
    for _ in range(3):
        assert await poker.poke(KEY, [mail_pod(annotation=OLD)], HASH, doubted=False) is None
        cluster.now += 1
    assert len(cluster.take()) == 1


async def test_two_mailproxies_of_one_pod_do_not_poke_for_ever(
    cluster: Cluster, poker: Poker
) -> None:
    other, annotation = ObjectKey("mail", "other"), ""
    for _ in range(5):
        for key, trust_hash in ((KEY, OLD), (other, HASH)):
            await poker.poke(key, [mail_pod(annotation=annotation)], trust_hash, doubted=False)
            annotation = cluster.pokes[-1][1]
    assert len(cluster.take()) == 2


async def test_new_pod_of_the_same_name_is_poked(cluster: Cluster, poker: Poker) -> None:
    await poker.poke(KEY, [mail_pod()], HASH, doubted=False)
    await poker.poke(KEY, [replace(mail_pod(), uid="another")], HASH, doubted=False)
    assert cluster.uids == ["uid-dms-0", "another"]


async def test_doubted_list_is_poked_again_a_few_times_with_growing_pauses(
    cluster: Cluster, poker: Poker
) -> None:
    for pause in PAUSES:
        wait = await poker.poke(KEY, [mail_pod()], HASH, doubted=True)
        cluster.now += pause - 1
        assert await poker.poke(KEY, [mail_pod()], HASH, doubted=True) == pytest.approx(1)
        assert wait in (None, pause)
        cluster.now += 1
    await poker.poke(KEY, [mail_pod()], HASH, doubted=True)
    for _ in range(5):
        cluster.now += 1000
        assert await poker.poke(KEY, [mail_pod()], HASH, doubted=True) is None
    assert [a for _, a in cluster.take()] == [HASH, *(f"{HASH}.{n}" for n in (2, 3, 4))]


async def test_operator_that_starts_anew_goes_on_with_the_pokes(
    cluster: Cluster, poker: Poker
) -> None:
    pods = [mail_pod(annotation=f"{HASH}.2")]
    assert await poker.poke(KEY, pods, HASH, doubted=True) == pytest.approx(PAUSES[1])
    cluster.now += PAUSES[1]
    await poker.poke(KEY, pods, HASH, doubted=True)
    assert cluster.take() == [("dms-0", f"{HASH}.3")]


async def test_missing_right_is_tried_again_late_and_once_for_all_pods(
    cluster: Cluster, poker: Poker
) -> None:
    assert poker.is_allowed("mail") is None
    cluster.error = Forbidden(403, "Forbidden", "no")
    pods = [mail_pod("dms-0"), mail_pod("dms-1")]
    for trust_hash in (HASH, OLD):
        wait = await poker.poke(KEY, pods, trust_hash, doubted=True)
        assert wait == pytest.approx(FORBIDDEN_SECONDS)
        assert poker.is_allowed("mail") is False
    assert cluster.take() == [("dms-0", HASH)]
    cluster.now += FORBIDDEN_SECONDS
    cluster.error = None
    assert await poker.poke(KEY, pods, OLD, doubted=False) is None
    assert cluster.take() == [("dms-0", OLD), ("dms-1", OLD)]
    assert poker.is_allowed("mail") is True


async def test_missing_right_in_one_namespace_says_nothing_of_another(
    cluster: Cluster, poker: Poker
) -> None:
    cluster.error = Forbidden(403, "Forbidden", "no")
    await poker.poke(KEY, [mail_pod()], HASH, doubted=False)
    assert poker.is_allowed("elsewhere") is None


@pytest.mark.parametrize(
    "error",
    [NotFound(404, "NotFound", "gone"), ApiError(422, "Invalid", "uid: field is immutable")],
)
async def test_pod_that_is_gone_is_no_matter(
    cluster: Cluster, poker: Poker, error: Exception
) -> None:
    cluster.error = error
    assert await poker.poke(KEY, [mail_pod()], HASH, doubted=False) is None
    assert poker.is_allowed("mail") is None


async def test_lost_connection_is_tried_again_soon(cluster: Cluster, poker: Poker) -> None:
    cluster.error = TransientError("lost")
    assert await poker.poke(KEY, [mail_pod()], HASH, doubted=False) == TRANSIENT_SECONDS
    cluster.error, cluster.now = None, cluster.now + TRANSIENT_SECONDS
    assert await poker.poke(KEY, [mail_pod()], HASH, doubted=False) is None
    assert len(cluster.take()) == 2


def test_hash_follows_the_list_and_is_that_of_the_status() -> None:
    proxy = mail_proxy()
    hashes = []
    for ip in ("10.244.1.2", "10.244.1.3"):
        plan = build_plan(proxy, observe(proxy, [service_body(), pod_body(ips=[ip])]))
        hashes.append(find_trust_hash(proxy, plan))
    assert len(set(hashes)) == 2
    assert all(len(hash_ or "") == 16 for hash_ in hashes)


@pytest.mark.parametrize(("update", "wanted"), [("Reload", True), ("Manual", False)])
def test_pods_are_poked_only_for_reloads(update: str, wanted: bool) -> None:
    server = selecting(app="mail") | {"trustUpdate": update}
    proxy = mail_proxy(mailServer=server)
    assert wants_pokes(proxy, build_plan(proxy, observe(proxy, []))) is wanted
