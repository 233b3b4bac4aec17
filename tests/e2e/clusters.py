"""The clusters of the tests, which start at the same time."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self

from tests.cluster.addresses import DUAL_STACK, IPV6_ONLY
from tests.cluster.cluster import Cluster
from tests.cluster.operator import install_operator

_NUMBER = int(os.environ.get("MAILPROXY_E2E_CLUSTER", "2"))  # `make cluster` is 1
CLUSTERS = {  # number and IP families, by fixture; concurrent runs may use the next numbers
    "cluster": (_NUMBER, DUAL_STACK),
    "ipv6_cluster": (_NUMBER + 100, IPV6_ONLY),
}


class Clusters:
    """Clusters by the names of their fixtures; they start concurrently. A context manager."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(len(CLUSTERS))
        self._stack = ExitStack()
        self._started: dict[str, Future[Cluster]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()
        self._stack.close()

    def start(self, name: str) -> Future[Cluster]:
        """Start a cluster with the operator, installed as README says, unless it is started."""
        if name not in self._started:
            self._started[name] = self._pool.submit(self._run, *CLUSTERS[name])
        return self._started[name]

    def _run(self, number: int, families: tuple[int, ...]) -> Cluster:
        cluster = self._stack.enter_context(Cluster(number, families))
        install_operator(cluster)
        return cluster
