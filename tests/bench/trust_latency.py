"""How fast trust follows the edge, against the fastest that this API server could do it.

A proxy pod's address changes; the clock runs from the API server's answer to that change until a
watch shows the new address in the `-trust` ConfigMap, for one MailProxy and for the last of many.
The floor is one server-side apply of such a ConfigMap, measured in the same run.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from mailproxy.kube.client import KubeClient
from mailproxy.observed.kinds import CHILDREN, PODS
from tests.controlplane.api import Api, wait_for
from tests.controlplane.crds import mailproxy_crd, traefik_crds
from tests.controlplane.server import ControlPlane
from tests.integration.scene import Scene
from tests.operator_process import OperatorProcess

CONFIG_MAPS = CHILDREN["ConfigMap"]
PORTS = [{"name": "imaps", "sni": "Hostname"}]


def main() -> None:
    """Print medians and tails in milliseconds, and their ratio to the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--many", type=int, default=50, help="MailProxies on one edge")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        crds = [*traefik_crds(), mailproxy_crd()]
        with ControlPlane(Path(folder), crds=crds) as plane:
            operator = OperatorProcess(plane.kubeconfig, plane.logs / "operator.log")
            with operator:
                asyncio.run(_measure(plane, options.rounds, options.many))


async def _measure(plane: ControlPlane, rounds: int, many: int) -> None:
    api = Api(plane.kubeconfig)
    scene = Scene(api)
    scene.add_edge("10.1.0.1")
    client = await KubeClient.connect(str(plane.kubeconfig))
    try:
        floor = await _repeat(rounds, lambda number: _apply(client, scene, number))
        _report("one server-side apply (floor)", floor, floor)
        _add_proxies(scene, 1)
        one = await _repeat(rounds, lambda number: _follow(client, scene, 1, number))
        _report("pod status answered -> trusted", one, floor)
        _add_proxies(scene, many)
        last = await _repeat(
            max(rounds // 10, 3), lambda number: _follow(client, scene, many, rounds + number)
        )
        _report(f"the same, the last of {many}", last, floor)
    finally:
        await client.close()


def _add_proxies(scene: Scene, count: int) -> None:
    for number in range(count):
        selector = {"podSelector": {"matchLabels": {"app": f"mail{number}"}}}
        host = f"host{number}.example.com"
        scene.apply(f"mail{number}", hostname=host, mailServer=selector, ports=PORTS)
    for number in range(count):
        wait_for(lambda name=f"mail{number}": scene.trusted(name), 60)


async def _repeat(rounds: int, action: Callable[[int], Awaitable[float]]) -> list[float]:
    return [await action(number) for number in range(rounds)]


async def _apply(client: KubeClient, scene: Scene, number: int) -> float:
    """Seconds that one changing apply takes."""
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "floor", "namespace": scene.mail},
        "data": {"dovecot-trust.conf": f"haproxy_trusted_networks = 10.0.0.{number}\n"},
    }
    started = time.perf_counter()
    await client.apply(CONFIG_MAPS, manifest)
    return time.perf_counter() - started


async def _follow(client: KubeClient, scene: Scene, count: int, number: int) -> float:
    """Seconds from the answered change of the pod's address until all ConfigMaps show it."""
    address = f"10.{2 + number // 250}.0.{number % 250 + 1}"
    listed = await client.list(CONFIG_MAPS, scene.mail)
    events = client.watch(CONFIG_MAPS, scene.mail, resource_version=listed.resource_version)
    seen: set[str] = set()
    async with aclosing(events):
        waiting = asyncio.create_task(_wait_for(events, address, seen, count))
        await client.apply(PODS, _pod(scene, address), subresource="status")
        started = time.perf_counter()
        await asyncio.wait_for(waiting, 60)
        return time.perf_counter() - started


async def _wait_for(events: Any, address: str, seen: set[str], count: int) -> None:
    async for event in events:
        text = event.object.get("data", {}).get("dovecot-trust.conf", "")
        if address in text.split():
            seen.add(event.object["metadata"]["name"])
        if len(seen) == count:
            return


def _pod(scene: Scene, address: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "traefik-0", "namespace": scene.edge},
        "status": {"podIP": address, "podIPs": [{"ip": address}]},
    }


def _report(what: str, seconds: list[float], floor: list[float]) -> None:
    ordered = sorted(value * 1000 for value in seconds)
    median, tail = statistics.median(ordered), ordered[int(len(ordered) * 0.9)]
    ratio = statistics.median(seconds) / statistics.median(floor)
    print(f"{what:34} p50 {median:7.1f} ms  p90 {tail:7.1f} ms  {ratio:5.1f} x floor", flush=True)


if __name__ == "__main__":
    main()
