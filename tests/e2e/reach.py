"""Which ports accept TCP connections, from here or from a pod.

A pod can run this file as it is: targets on standard input, states on standard output, as JSON.
"""

import json
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TIMEOUT_SECONDS = 2.0  # a policy drops packets without an answer

Target = tuple[str, int]


def reach(targets: Sequence[Target]) -> dict[Target, str]:
    """`open`, `refused`, `dropped` or another error for each target (address and port)."""
    with ThreadPoolExecutor(max(1, len(targets))) as pool:
        return dict(zip(targets, pool.map(_connect, targets), strict=True))


def reach_from_pod(
    targets: Sequence[Target], execute: Callable[[list[str], str], str]
) -> dict[Target, str]:
    """`reach` in a pod.

    Args:
        execute: Runs a command with a text as its standard input, and returns its output.
    """
    command = ["python3", "-c", Path(__file__).read_text()]
    states = json.loads(execute(command, json.dumps(targets)))
    return dict(zip(targets, states, strict=True))


def expect(states: dict[Target, str], targets: Sequence[Target], expected: str) -> None:
    """Fail unless all of these targets have this state; the message names those that do not."""
    others = {target: states[target] for target in targets if states[target] != expected}
    assert not others, f"should be {expected}: {others}"


def _connect(target: Target) -> str:
    try:
        with socket.create_connection(target, TIMEOUT_SECONDS):
            return "open"
    except TimeoutError:
        return "dropped"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return str(error)


if __name__ == "__main__":
    print(json.dumps(list(reach([(host, port) for host, port in json.load(sys.stdin)]).values())))
