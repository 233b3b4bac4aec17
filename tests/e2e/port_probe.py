"""Clients that try the PROXY ports of a mail server again and again, and what they find when.

Nothing but the standard library, so that a pod can run this file as it is: a request on standard
input, what was found on standard output, both as JSON. The time is that of the whole machine.
"""

import json
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

TIMEOUT_SECONDS = 2.0
PAUSE_SECONDS = 0.02


@dataclass
class Request:
    """Which ports of which server, and for how long.

    Attributes:
        header: In hexadecimal; it is sent at once.
        until: Nobody goes on who has found this.
        seconds: All give up after so many.
        mark: Path of a file; `<mark>-<port>` is made when a port was tried first.
    """

    host: str
    ports: list[int]
    header: str
    until: str
    seconds: float
    mark: str


@dataclass
class Finding:
    """What a port did, other than before.

    Attributes:
        state: `greeted`; `closed` without a greeting; `refused`, when the connection was; `silent`.
        at: Seconds since 1970.
    """

    port: int
    state: str
    at: float


def knock(request: Request, execute: Callable[[list[str], str], str]) -> list[Finding]:
    """Let a pod try; its findings in their order.

    Args:
        execute: Runs a command with a text as its standard input, and returns its output.
    """
    command = ["python3", "-c", Path(__file__).read_text()]
    findings = json.loads(execute(command, json.dumps(asdict(request))))
    return sorted((Finding(**one) for one in findings), key=lambda finding: finding.at)


def _try_port(request: Request, port: int) -> list[Finding]:
    findings: list[Finding] = []
    deadline = time.time() + request.seconds
    while time.time() < deadline:
        state = _try_once(request, port)
        if not findings:
            Path(f"{request.mark}-{port}").touch()
        if not findings or findings[-1].state != state:
            findings.append(Finding(port, state, time.time()))
        if state == request.until:
            break
        time.sleep(PAUSE_SECONDS)
    return findings


def _try_once(request: Request, port: int) -> str:
    try:
        connection = socket.create_connection((request.host, port), TIMEOUT_SECONDS)
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
    asked = Request(**json.load(sys.stdin))
    with ThreadPoolExecutor(len(asked.ports)) as pool:
        found = list(pool.map(lambda port: _try_port(asked, port), asked.ports))
    print(json.dumps([asdict(finding) for findings in found for finding in findings]))
