"""Connects to PROXY ports of a mail server again and again, and notes every change of the outcome.

Nothing but the standard library, so that a pod can run this file as it is: a request on standard
input, the outcomes on standard output, both as JSON. Times are those of the machine's clock.
"""

import json
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

PAUSE_SECONDS = 0.02


@dataclass
class ProbeRequest:
    """Which ports of which server, and for how long.

    Attributes:
        header: In hexadecimal; sent at once.
        until: The state that ends the probe of a port.
        patience: Seconds to wait for a connection, and for a greeting.
        seconds: After which every probe ends.
        mark: Path of a file; `<mark>-<port>` is created after the first connection to a port, and
            every probe ends when there is a file `<mark>-end`.
    """

    host: str
    ports: list[int]
    header: str
    until: str
    patience: float
    seconds: float
    mark: str


@dataclass
class PortState:
    """The state of a port, where it differs from the one before.

    Attributes:
        state: `greeted`; `closed` without a greeting; `refused`, if the connection was; `silent`.
        at: Seconds since 1970.
        longest: Seconds that a connection took at most, until the state changed.
    """

    port: int
    state: str
    at: float
    longest: float = 0.0


def probe_ports(request: ProbeRequest, execute: Callable[[list[str], str], str]) -> list[PortState]:
    """Let a pod probe the ports; returns what it has found, in the order of time.

    Args:
        execute: Runs a command with a text as its standard input, and returns its output.
    """
    command = ["python3", "-c", Path(__file__).read_text()]
    states = json.loads(execute(command, json.dumps(asdict(request))))
    return sorted((PortState(**one) for one in states), key=lambda state: state.at)


def _probe_port(request: ProbeRequest, port: int) -> list[PortState]:
    states: list[PortState] = []
    deadline = time.time() + request.seconds
    while time.time() < deadline and not Path(f"{request.mark}-end").exists():
        began = time.time()
        state = _connect(request, port)
        if not states:
            Path(f"{request.mark}-{port}").touch()
        if not states or states[-1].state != state:
            states.append(PortState(port, state, time.time()))
        states[-1].longest = max(states[-1].longest, time.time() - began)
        if state == request.until:
            break
        time.sleep(PAUSE_SECONDS)
    return states


def _connect(request: ProbeRequest, port: int) -> str:
    try:
        connection = socket.create_connection((request.host, port), request.patience)
    except OSError:
        return "refused"
    with connection:
        try:
            connection.sendall(bytes.fromhex(request.header))
            return "greeted" if connection.recv(1) else "closed"
        except TimeoutError:
            return "silent"
        except OSError:
            return "closed"


if __name__ == "__main__":
    asked = ProbeRequest(**json.load(sys.stdin))
    with ThreadPoolExecutor(len(asked.ports)) as pool:
        found = list(pool.map(lambda port: _probe_port(asked, port), asked.ports))
    print(json.dumps([asdict(state) for states in found for state in states]))
