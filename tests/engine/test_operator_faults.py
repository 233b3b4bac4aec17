"""The whole loop against an API server that breaks in ways a real one cannot be made to.

The same situations on a real API server, as far as they can be had there, are in
`tests/integration/test_restarts.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from tests.engine import fault_server
from tests.engine.fault_server import FaultServer, Seen
from tests.engine.object_store import Object, Place
from tests.engine.waiting import until

from mailproxy.controller.caches import Caches
from mailproxy.controller.probes import Prober
from mailproxy.controller.reconcile import Reconciler
from mailproxy.engine.workqueue import WorkQueue, run_workers
from mailproxy.identity import ObjectKey
from mailproxy.kube.client import KubeClient
from mailproxy.kube.events import EventRecorder
from mailproxy.options import Options

PROXY = Place("mailproxies", "mail", "mail")
TRUST = Place("configmaps", "mail", "mail-trust")
LABELS = {"app": "edge"}
WORKERS = 4


async def _nobody_answers(*_: object) -> None:
    """Of the proxy pods here nobody is there."""


@asynccontextmanager
async def running(client: KubeClient) -> AsyncIterator[None]:
    """The operator without kopf: caches, queue, workers."""
    options = Options()
    queue: WorkQueue[ObjectKey] = WorkQueue(options)
    caches = Caches(client, queue, options)
    recorder = EventRecorder(client, "test", options)
    prober = Prober(_nobody_answers, queue.add, options)
    reconciler = Reconciler(caches, client, recorder, lambda: datetime.now(UTC), prober, options)
    engine = asyncio.gather(caches.sources.run(), run_workers(queue, WORKERS, reconciler.reconcile))
    try:
        yield
    finally:
        engine.cancel()
        await asyncio.gather(engine, return_exceptions=True)


def put(server: FaultServer, place: Place, body: Object | None, *, tell: bool = True) -> None:
    """Store an object, or delete it; without `tell` no watch hears of it."""
    if tell:
        server.change(place, body)
    else:
        server.store.store(place, body)


def add_cluster(server: FaultServer) -> None:
    """An edge with two pods, and a MailProxy."""
    ports = [{"name": "smtp", "port": 25, "targetPort": 2525}]
    service = {"spec": {"selector": LABELS, "ports": ports}}
    put(server, Place("services", "traefik", "traefik"), service)
    for number in (1, 2):
        add_pod(server, f"edge-{number}", f"10.0.0.{number}")
    selector = {"matchLabels": {"app": "mail"}}
    spec = {
        "hostname": "mail.example.com",
        "ports": [{"name": "smtp"}],
        "mailServer": {"podSelector": selector},
    }
    put(server, PROXY, {"metadata": {"generation": 1}, "spec": spec})


def add_pod(server: FaultServer, name: str, address: str) -> None:
    container = {"image": "traefik:v3.7.9", "args": ["--entrypoints.smtp.address=:2525"]}
    body = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [container]},
        "status": {"phase": "Running", "podIPs": [{"ip": address}]},
    }
    put(server, Place("pods", "traefik", name), body)


def children(server: FaultServer) -> list[Place]:
    return [p for p in server.store.objects if p.namespace == "mail" and p.plural != "events"]


def trusted(server: FaultServer) -> list[str]:
    found = server.store.objects.get(TRUST)
    text: str = found["data"]["dovecot-trust.conf"] if found else ""
    return text.partition("=")[2].split()


def status_of(server: FaultServer, name: str) -> Object:
    found = server.store.objects.get(Place("mailproxies", "mail", name)) or {}
    return dict(found.get("status") or {})


def reports(seen: Seen, trusted: int) -> bool:
    """Whether a request writes a status with so many trusted networks."""
    return seen.path.endswith("/status") and seen.body["status"]["trustedCount"] == trusted


def is_ready(server: FaultServer) -> bool:
    """Whether the status says all that can be said without EndpointSlices."""
    return status_of(server, "mail").get("portsSummary") == "1/1"


async def test_a_deleted_mailproxy_whose_end_was_missed_is_not_written_for(
    server: FaultServer, client: KubeClient
) -> None:
    add_cluster(server)
    async with running(client):
        await until(lambda: is_ready(server) and server.count("create") == 1)  # its event, too
        put(server, PROXY, None, tell=False)
        before = server.count("apply", "create")
        assert len(children(server)) == 5
        for place in children(server):  # the garbage collector at work: each is an event for us
            put(server, place, None)
        await until(lambda: server.count("get") >= 1)  # it looks whether the owner still lives
        server.forget_history()
        server.expire_streams()  # only a new list tells that the MailProxy is gone
        lists = server.count("list")
        await until(lambda: server.count("list") >= lists + 5)
        add_pod(server, "edge-3", "10.0.0.3")
        await until(lambda: server.count("watch") >= lists + 5)
        assert not children(server)
        assert server.count("apply", "create") == before


async def test_a_missed_end_of_a_proxy_pod_is_found_by_the_next_list(
    server: FaultServer, client: KubeClient
) -> None:
    add_cluster(server)
    async with running(client):
        await until(lambda: trusted(server) == ["10.0.0.1", "10.0.0.2"])
        put(server, Place("pods", "traefik", "edge-1"), None, tell=False)
        server.forget_history()
        server.expire_streams()
        await until(lambda: trusted(server) == ["10.0.0.2"])


async def test_the_trust_of_all_comes_before_the_status_of_any(
    server: FaultServer, client: KubeClient
) -> None:
    add_cluster(server)
    names = [f"mail{number}" for number in range(12)]
    for name in names:  # one edge, told apart by host names
        selector = {"matchLabels": {"app": name}}
        spec = {"hostname": f"{name}.example.com", "mailServer": {"podSelector": selector}}
        ports = [{"name": "imaps", "sni": "Hostname", "entryPoint": "smtp2"}]
        put(server, Place("mailproxies", "mail", name), {"spec": spec | {"ports": ports}})
    names.append("mail")

    def all_report(count: int) -> bool:
        return all(status_of(server, name).get("trustedCount") == count for name in names)

    async with running(client):
        await until(lambda: all_report(2))
        before = len(server.requests)
        add_pod(server, "edge-3", "10.0.0.3")
        await until(lambda: all_report(3))
        applied = [seen for seen in server.requests[before:] if seen.verb == "apply"]
        trust = [n for n, seen in enumerate(applied) if seen.path.endswith("-trust")]
        statuses = [n for n, seen in enumerate(applied) if reports(seen, 3)]
        assert len(trust) == len(statuses) == len(names)
        # What the other workers are at may still be on its way.
        assert trust[-WORKERS] < min(statuses)


async def test_writes_that_fail_are_tried_again_ever_more_seldom(
    server: FaultServer, client: KubeClient
) -> None:
    server.fail("apply", fault_server.status(500, "etcd is away"), forever=True)
    add_cluster(server)
    async with running(client):
        await until(lambda: server.count("apply") >= 15)  # each round tries all five children
        assert server.count("apply") < 60
        server.heal()
        await until(lambda: is_ready(server))
        assert trusted(server) == ["10.0.0.1", "10.0.0.2"]


async def test_one_child_that_fails_does_not_keep_the_others_from_being_applied(
    server: FaultServer, client: KubeClient
) -> None:
    server.fail("apply", fault_server.status(500, "only the first"))
    add_cluster(server)
    async with running(client):
        await until(lambda: server.count("apply") >= 5)
        await until(lambda: is_ready(server))
        assert trusted(server) == ["10.0.0.1", "10.0.0.2"]


async def test_volumes_are_refreshed_only_when_the_list_has_been_written(
    server: FaultServer, client: KubeClient
) -> None:
    server.fail("apply", fault_server.status(500, "etcd is away"), forever=True)
    add_cluster(server)
    mail_pod = Place("pods", "mail", "dms-0")
    put(server, mail_pod, {"metadata": {"labels": {"app": "mail"}}, "status": {"phase": "Running"}})
    async with running(client):
        await until(lambda: server.count("apply") >= 15)
        assert server.count("patch") == 0
        server.heal()
        await until(lambda: is_ready(server))
        annotations = server.store.objects[mail_pod]["metadata"]["annotations"]
        assert annotations == {"mailproxy.dev/trust-hash": status_of(server, "mail")["trustHash"]}
        assert server.count("patch") == 1


async def test_it_waits_as_long_as_the_server_asks(server: FaultServer, client: KubeClient) -> None:
    server.fail("apply", *[fault_server.status(429, "slowly", retry_after=1)] * 5)
    add_cluster(server)
    loop = asyncio.get_running_loop()
    async with running(client):
        await until(lambda: server.count("apply") >= 1)
        refused = loop.time()
        await until(lambda: is_ready(server))
        assert loop.time() - refused > 0.9


async def test_nothing_is_written_while_a_watch_has_not_delivered(
    server: FaultServer, client: KubeClient
) -> None:
    add_cluster(server)
    async with running(client):
        await until(lambda: is_ready(server))
    before = server.count("apply")
    server.fail("list", fault_server.status(403, "pods is forbidden"), forever=True)
    async with running(client):
        lists = server.count("list")
        await until(lambda: server.count("list") >= lists + 16)  # two rounds of all watches
        assert server.count("apply") == before
        assert trusted(server) == ["10.0.0.1", "10.0.0.2"]
