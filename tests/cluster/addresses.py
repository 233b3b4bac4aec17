"""Who has which address in a one-node cluster; several clusters run side by side."""

from dataclasses import dataclass
from typing import TypeVar

MAX_NUMBER = 250
DUAL_STACK = (4, 6)
IPV6_ONLY = (6,)

T = TypeVar("T")


@dataclass(frozen=True)
class Addresses:
    """The networks of cluster `number` (0 to 250): one of each kind for each of its IP families.

    The machine itself stands outside of the cluster, on a wire with the node. It reaches pods,
    Services and LoadBalancer addresses through the node, and its own address arrives unchanged.

    Attributes:
        families: IP versions of nodes, pods and Services; all tuples here are in this order.
    """

    number: int
    families: tuple[int, ...] = DUAL_STACK

    def __post_init__(self) -> None:
        if not 0 <= self.number <= MAX_NUMBER:
            raise ValueError(f"a cluster's number is 0 to {MAX_NUMBER}, not {self.number}")

    @property
    def name(self) -> str:
        """Of the node, its cgroup and its folder."""
        return f"mailproxy-{self.number}"

    @property
    def host(self) -> tuple[str, ...]:
        """The machine's own: those of the outside client."""
        return self._choose(f"10.203.{self.number}.1", f"fd6d:7070:{self.number:x}:1::1")

    @property
    def node(self) -> tuple[str, ...]:
        """The node's; the API server listens there."""
        return self._choose(f"10.203.{self.number}.2", f"fd6d:7070:{self.number:x}:1::2")

    @property
    def node_prefixes(self) -> tuple[int, ...]:
        """Lengths of the wire's prefixes."""
        return self._choose(24, 64)

    @property
    def pods(self) -> tuple[str, ...]:
        """Pods get theirs from here; the first one is the node's own."""
        return self._choose(f"10.204.{self.number}.0/24", f"fd6d:7070:{self.number:x}:2::/64")

    @property
    def gateway(self) -> tuple[str, ...]:
        """What pods see of the node: its kubelet, and whoever's address was lost on the way."""
        return self._choose(f"10.204.{self.number}.1", f"fd6d:7070:{self.number:x}:2::1")

    @property
    def everywhere(self) -> tuple[str, ...]:
        """Where the default routes lead."""
        return self._choose("0.0.0.0/0", "::/0")

    @property
    def services(self) -> tuple[str, ...]:
        """ClusterIPs."""
        return self._choose(f"10.205.{self.number}.0/24", f"fd6d:7070:{self.number:x}:3::/112")

    @property
    def load_balancers(self) -> tuple[str, ...]:
        """Addresses that the machine routes to the node."""
        return self._choose(f"10.206.{self.number}.0/24", f"fd6d:7070:{self.number:x}:4::/112")

    def load_balancer(self, index: int) -> tuple[str, ...]:
        """The addresses `index` (1 to 254) of `load_balancers`."""
        network6 = f"fd6d:7070:{self.number:x}:4"
        return self._choose(f"10.206.{self.number}.{index}", f"{network6}::{index:x}")

    def _choose(self, ipv4: T, ipv6: T) -> tuple[T, ...]:
        return tuple(ipv4 if family == 4 else ipv6 for family in self.families)
