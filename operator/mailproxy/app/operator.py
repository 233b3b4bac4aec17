"""The running operator: caches, workers, kopf and probes, started and stopped in order."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import kopf

from mailproxy.app.health import WatcherHealth, serve_probes
from mailproxy.app.shell import build_registry, build_settings
from mailproxy.controller.caches import Caches
from mailproxy.controller.probes import Beliefs
from mailproxy.controller.reconcile import Reconciler
from mailproxy.engine.workqueue import WorkQueue, run_workers
from mailproxy.kube.client import KubeClient
from mailproxy.kube.events import EventRecorder
from mailproxy.object_key import ObjectKey
from mailproxy.probe.greeting import probe_greeting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How the operator is run; `port` 0 lets the system choose, `instance` names the replica."""

    kubeconfig: str | None
    context: str | None
    port: int
    workers: int
    instance: str


async def run_operator(options: Options) -> None:
    """Run until SIGTERM or SIGINT, or until a part fails, which is then raised.

    Raises:
        ConfigError: There is neither a service account nor a usable kubeconfig.
    """
    client = await KubeClient.connect(options.kubeconfig, options.context)
    try:
        await _run(client, options)
    finally:
        await client.close()


async def _run(client: KubeClient, options: Options) -> None:
    queue: WorkQueue[ObjectKey] = WorkQueue()
    caches = Caches(client, queue)
    recorder = EventRecorder(client, options.instance)
    beliefs = Beliefs(probe_greeting, queue.add)
    reconciler = Reconciler(caches, client, recorder, lambda: datetime.now(UTC), beliefs)
    watcher = WatcherHealth()
    async with serve_probes(options.port, watcher.find_problems, caches.find_unsynced) as port:
        log.info("probes on port %d", port)
        parts = {
            "sources": caches.sources.run(),
            "beliefs": beliefs.run(),
            "changed workloads": reconciler.wirer.search(queue.add),
            "workers": run_workers(queue, options.workers, reconciler.reconcile),
        }
        # Before kopf: it waits for and then cancels every task that is younger than itself.
        engine = asyncio.create_task(_run_engine(parts))
        await _run_shell(client, queue, engine, options.instance)


async def _run_engine(parts: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(part, name=name)


async def _run_shell(
    client: KubeClient, queue: WorkQueue[ObjectKey], engine: asyncio.Task[None], instance: str
) -> None:
    """Run kopf beside the engine; whichever ends first ends the other, the engine first."""
    stop_kopf, is_ready, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    shell = asyncio.create_task(
        kopf.operator(
            registry=build_registry(client, queue),
            settings=build_settings(),
            identity=cast("Any", instance),  # else kopf looks for the user's name; there is none
            clusterwide=True,
            standalone=True,
            ready_flag=is_ready,
            stop_flag=stop_kopf,
        )
    )
    signalled = asyncio.create_task(_wait_for_signal(is_ready, stop))
    try:
        await asyncio.wait({engine, shell, signalled}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        signalled.cancel()
        engine.cancel()
        (engine_end,) = await asyncio.gather(engine, return_exceptions=True)
        stop_kopf.set()
        (shell_end,) = await asyncio.gather(shell, return_exceptions=True)
    for end in (engine_end, shell_end):
        if isinstance(end, Exception):
            raise end


async def _wait_for_signal(is_ready: asyncio.Event, stop: asyncio.Event) -> None:
    """Take SIGTERM and SIGINT from kopf, which would end itself before our work."""
    await is_ready.wait()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    log.info("stopping")
