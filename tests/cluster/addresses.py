"""Who has which address in a one-node cluster; several clusters run side by side."""

from dataclasses import dataclass

MAX_NUMBER = 250


@dataclass(frozen=True)
class Addresses:
    """The networks of cluster `number` (0 to 250), IPv4 and IPv6 alike.

    The machine itself stands outside of the cluster, on a wire with the node. It reaches pods,
    Services and LoadBalancer addresses through the node, and its own address arrives unchanged.
    """

    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.number <= MAX_NUMBER:
            raise ValueError(f"a cluster's number is 0 to {MAX_NUMBER}, not {self.number}")

    @property
    def name(self) -> str:
        """Of the node, its cgroup and its folder."""
        return f"mailproxy-{self.number}"

    @property
    def host(self) -> tuple[str, str]:
        """The machine's own: those of the outside client."""
        return f"10.203.{self.number}.1", f"fd6d:7070:{self.number:x}:1::1"

    @property
    def node(self) -> tuple[str, str]:
        """The node's; the API server listens there."""
        return f"10.203.{self.number}.2", f"fd6d:7070:{self.number:x}:1::2"

    @property
    def node_prefixes(self) -> tuple[int, int]:
        """Lengths of the wire's prefixes."""
        return 24, 64

    @property
    def pods(self) -> tuple[str, str]:
        """Pods get theirs from here; the first one is the node's own."""
        return f"10.204.{self.number}.0/24", f"fd6d:7070:{self.number:x}:2::/64"

    @property
    def gateway(self) -> tuple[str, str]:
        """What pods see of the node: its kubelet, and whoever's address was lost on the way."""
        return f"10.204.{self.number}.1", f"fd6d:7070:{self.number:x}:2::1"

    @property
    def services(self) -> tuple[str, str]:
        """ClusterIPs."""
        return f"10.205.{self.number}.0/24", f"fd6d:7070:{self.number:x}:3::/112"

    @property
    def load_balancers(self) -> tuple[str, str]:
        """Addresses that the machine routes to the node."""
        return f"10.206.{self.number}.0/24", f"fd6d:7070:{self.number:x}:4::/112"

    def load_balancer(self, index: int) -> tuple[str, str]:
        """The address pair `index` (1 to 254) of `load_balancers`."""
        return f"10.206.{self.number}.{index}", f"fd6d:7070:{self.number:x}:4::{index:x}"
