"""The running operator: caches, workers, kopf and probes, started and stopped in order."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import kopf

from mailproxy.api.labels import MANAGER
from mailproxy.app.health import KopfHealth, serve_health
from mailproxy.app.shell import build_registry, build_settings
from mailproxy.controller.caches import Caches
from mailproxy.controller.probes import Prober
from mailproxy.controller.reconcile import Reconciler
from mailproxy.engine.workqueue import WorkQueue, run_workers
from mailproxy.identity import ObjectKey
from mailproxy.kube.client import KubeClient
from mailproxy.kube.events import EventRecorder
from mailproxy.options import Options
from mailproxy.probe.greeting import probe_greeting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Launch:
    """Where the operator runs and as what; health port 0 lets the system choose.

    `instance` names the replica.
    """

    kubeconfig: str | None
    context: str | None
    port: int
    instance: str


async def run_operator(launch: Launch, options: Options) -> None:
    """Run until SIGTERM or SIGINT, or until a part fails, which is then raised.

    Raises:
        ConfigError: There is neither a service account nor a usable kubeconfig.
    """
    client = await KubeClient.connect(
        launch.kubeconfig, launch.context, field_manager=MANAGER, options=options
    )
    try:
        await _run(client, launch, options)
    finally:
        await client.close()


async def _run(client: KubeClient, launch: Launch, options: Options) -> None:
    queue: WorkQueue[ObjectKey] = WorkQueue(options)
    caches = Caches(client, queue, options)
    recorder = EventRecorder(client, launch.instance, options)
    prober = Prober(probe_greeting, queue.add, options)
    now = partial(datetime.now, UTC)
    reconciler = Reconciler(caches, client, recorder, now, prober, options)
    kopf_health = KopfHealth()
    async with serve_health(launch.port, kopf_health.find_problems, caches.find_unsynced) as port:
        log.info("health on port %d", port)
        parts = {
            "sources": caches.sources.run(),
            "prober": prober.run(),
            "changed workloads": reconciler.wirer.search(queue.add),
            "workers": run_workers(queue, options.workers, reconciler.reconcile),
        }
        # Before kopf: it waits for and then cancels every task that is younger than itself.
        engine = asyncio.create_task(_run_engine(parts))
        registry = build_registry(client, queue, options)
        await _run_shell(registry, build_settings(options), engine, launch.instance)


async def _run_engine(parts: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(part, name=name)


async def _run_shell(
    registry: kopf.OperatorRegistry,
    settings: kopf.OperatorSettings,
    engine: asyncio.Task[None],
    instance: str,
) -> None:
    """Run kopf beside the engine; whichever ends first ends the other, the engine first."""
    stop_kopf, is_ready, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    shell = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=settings,
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
