"""Which list a volume refresh is for, who wants one, and how refreshes are counted and paced."""

from ipaddress import ip_address

import pytest
from tests.unit.worlds import (
    judge,
    mail_proxy,
    mail_proxy_body,
    observe,
    pod_body,
    selecting,
    service_body,
)

from mailproxy.observed.evidence import Evidence
from mailproxy.plan.build import build_plan
from mailproxy.plan.model import find_trust_hash
from mailproxy.plan.rollout.volume_refresh import (
    build_annotation,
    count_refreshes,
    find_pause,
    is_header_rejected,
    wants_volume_refresh,
)

HASH = "ab" * 8
PAUSES = (3.0, 9.0, 27.0)


def test_hash_follows_the_list_and_is_that_of_the_status() -> None:
    proxy = mail_proxy()
    hashes = []
    for ip in ("10.244.1.2", "10.244.1.3"):
        world = observe(proxy, [service_body(), pod_body(ips=[ip])])
        hashes.append(find_trust_hash(proxy, build_plan(proxy, world)))
        assert judge(proxy, world)["trustHash"] == hashes[-1]
    assert len(set(hashes)) == 2
    assert all(len(hash_ or "") == 16 for hash_ in hashes)


@pytest.mark.parametrize(("update", "wanted"), [("Reload", True), ("Manual", False)])
def test_pods_are_refreshed_only_for_reloads(update: str, wanted: bool) -> None:
    server = selecting(app="mail") | {"trustUpdate": update}
    proxy = mail_proxy(mailServer=server)
    assert wants_volume_refresh(proxy, build_plan(proxy, observe(proxy, []))) is wanted


def test_pods_of_an_older_mail_proxy_are_not_refreshed() -> None:
    rival = mail_proxy_body("older", uid="older", created="2026-01-01T00:00:00Z")
    proxy = mail_proxy()
    assert not wants_volume_refresh(proxy, build_plan(proxy, observe(proxy, [rival])))


@pytest.mark.parametrize(
    ("known", "rejected"),
    [
        ({}, False),
        ({"10.244.1.2": True}, False),
        ({"10.244.1.2": False}, True),
        ({"10.244.1.2": True, "10.244.1.3": False}, True),
        ({"10.244.9.9": False}, False),
    ],
)
def test_header_is_rejected_if_that_is_known_of_a_pod_of_the_edge(
    known: dict[str, bool], rejected: bool
) -> None:
    proxy = mail_proxy()
    other = pod_body("traefik-1", ips=["10.244.1.3"])
    plan = build_plan(proxy, observe(proxy, [service_body(), pod_body(), other]))
    evidence = Evidence({ip_address(address): answer for address, answer in known.items()})
    assert is_header_rejected(evidence, plan) is rejected


@pytest.mark.parametrize("number", [1, 2, 9])
def test_annotation_counts_the_refreshes_for_its_own_list(number: int) -> None:
    annotation = build_annotation(HASH, number)
    assert count_refreshes(annotation, HASH) == number
    assert count_refreshes(annotation, "0" * 16) == 0


@pytest.mark.parametrize("annotation", ["", "nonsense", f"{HASH}.1", f"{HASH}.22", f"{HASH}x"])
def test_any_other_annotation_counts_as_none(annotation: str) -> None:
    assert count_refreshes(annotation, HASH) == 0


def test_first_refresh_comes_at_once_and_each_other_only_after_a_rejected_header() -> None:
    assert find_pause(0, PAUSES, rejected=False) == 0
    assert [find_pause(n, PAUSES, rejected=True) for n in (1, 2, 3, 4)] == [*PAUSES, None]
    assert [find_pause(n, PAUSES, rejected=False) for n in (1, 2, 3, 4)] == [None] * 4
