"""Free loopback ports."""

import random
import socket

# Below what Linux (32768) and macOS (49152) give to outgoing connections, and below Kubernetes'
# node ports (30000): no kernel takes one of these while a restarting server has left it.
CANDIDATES = range(20000, 30000)


class PortTakenError(RuntimeError):
    """Another process took the port between our choice and the server's start."""


def choose_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that are free now; another process may still take one."""
    free: list[int] = []
    for port in random.sample(CANDIDATES, len(CANDIDATES)):
        if len(free) == count:
            return free
        if is_free(port):
            free.append(port)
    raise RuntimeError(f"Fewer than {count} of the ports {CANDIDATES} on 127.0.0.1 are free")


def is_free(port: int) -> bool:
    """Whether a server could bind the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # like Go's servers
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
