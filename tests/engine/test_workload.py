"""Writes into workloads against an API server that is a step ahead, or refuses."""

import asyncio
import logging

import pytest
from aiohttp import web
from tests.engine.fault_server import FaultServer, status
from tests.engine.object_store import Object, Place
from tests.engine.waiting import until

from mailproxy.controller.memory import Memories
from mailproxy.controller.step import Pass
from mailproxy.controller.workload import Wirer
from mailproxy.identity import ObjectKey, ObjectRef
from mailproxy.kube.client import KubeClient
from mailproxy.kube.errors import Conflict
from mailproxy.observed.child import Child
from mailproxy.observed.mail_proxy import read_proxy
from mailproxy.observed.workload import read_workload
from mailproxy.observed.world import World
from mailproxy.options import Options
from mailproxy.plan.build import build_plan

KEY = ObjectKey("mail", "mail")
PROXY = Place("mailproxies", "mail", "mail")
DEPLOYMENT = Place("deployments", "mail", "dms")
OWNED = [{"manager": "mailproxy-wiring", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]


def put_workload(server: FaultServer, *, wired: bool, consents: bool = True) -> Object:
    metadata: Object = {"annotations": {"mailproxy.dev/allow-wiring": str(consents).lower()}}
    if wired:
        metadata |= {"labels": {"mailproxy.dev/wired-by": "mail"}, "managedFields": OWNED}
    spec = {"template": {"spec": {"containers": [{"name": "mail"}]}}}
    new = server.change(DEPLOYMENT, {"metadata": metadata, "spec": spec}).new
    assert new
    return new


def start_wirer(client: KubeClient, options: Options | None = None) -> Wirer:
    """The step of an operator that has just started."""
    return Wirer(client, Memories(), options or Options())


async def search(wirer: Wirer) -> list[ObjectKey]:
    """What the first search finds."""
    found: list[ObjectKey] = []
    task = asyncio.create_task(wirer.search(found.append))
    await until(lambda: bool(found))
    task.cancel()
    return found


async def test_leftover_is_taken_out_only_when_its_mail_proxy_is_really_gone(
    server: FaultServer, client: KubeClient
) -> None:
    put_workload(server, wired=True)
    server.change(PROXY, {"spec": {}})
    wirer = start_wirer(client)
    assert await search(wirer) == [KEY]
    await wirer.withdraw_all(KEY)  # as for an event that came before the cache had it
    assert server.count("apply") == 0

    server.change(PROXY, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    await wirer.withdraw_all(KEY)
    (written,) = [seen for seen in server.requests if seen.verb == "apply"]
    assert written.query["fieldManager"] == "mailproxy-wiring"
    assert written.query["force"] == "false"
    assert "spec" not in written.body
    assert "labels" not in written.body["metadata"]


async def test_workload_that_only_bears_the_label_is_left_alone(
    server: FaultServer, client: KubeClient
) -> None:
    server.change(DEPLOYMENT, {"metadata": {"labels": {"mailproxy.dev/wired-by": "mail"}}})
    other = Place("statefulsets", "mail", "dms")
    labels = {"mailproxy.dev/wired-by": "other"}
    server.change(other, {"metadata": {"labels": labels, "managedFields": OWNED}})
    wirer = start_wirer(client)
    assert await search(wirer) == [ObjectKey("mail", "other")]
    await wirer.withdraw_all(KEY)
    assert server.count("apply") == 0


async def test_search_without_the_right_to_it_logs_nothing(
    server: FaultServer,
    client: KubeClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.fail("list", status(403), forever=True)
    options = Options(workload_search_min_seconds=0, workload_search_max_seconds=0)
    wirer = start_wirer(client, options)
    task = asyncio.create_task(wirer.search(lambda _: pytest.fail("found something")))
    await until(lambda: server.count("list") >= 5)  # the third round: the first is over
    task.cancel()
    assert [r for r in caplog.records if r.levelno >= logging.INFO] == []


async def test_consent_that_is_taken_back_between_read_and_write_is_respected(
    server: FaultServer, client: KubeClient
) -> None:
    consenting = put_workload(server, wired=False)
    selector = {"matchLabels": {"app": "mail"}}
    mail_server = {"podSelector": selector, "workloadRef": {"name": "dms"}, "wiring": "Inject"}
    stored = read_proxy(
        {
            "metadata": {"name": "mail", "namespace": "mail", "uid": "u", "resourceVersion": "1"},
            "spec": {"hostname": "mail.example.com", "mailServer": mail_server},
        }
    )
    assert stored.proxy
    children = {
        ObjectRef("ConfigMap", name): Child("ConfigMap", name, "u", "1", "u")
        for name in ("mail-overrides", "mail-trust")
    }
    workload = read_workload(consenting, "Deployment")
    world = World(children=children, workload=workload)
    now = put_workload(server, wired=False, consents=False)

    async def answer_late(_: web.Request) -> web.StreamResponse:
        return web.json_response(consenting)

    server.fail("get", answer_late)
    memories = Memories()
    wirer, plan = Wirer(client, memories, Options()), build_plan(stored.proxy, world)
    current = Pass(stored, stored.proxy, world, plan, memories.get(KEY), again_in=300)
    with pytest.raises(Conflict):
        await wirer.run(current)
    assert server.store.objects[DEPLOYMENT] == now
    assert server.count("apply") == 1
    assert current.failures == []
    await wirer.run(current)
    (failure,) = current.failures
    assert failure.reason == "WiringNotAllowed"
    assert server.count("apply") == 1
