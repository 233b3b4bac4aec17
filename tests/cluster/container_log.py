"""What a container has printed, where the kubelet keeps it.

Tests look often, and the API would send all of it each time.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One line; `time` is when it was printed, as seconds since 1970."""

    time: float
    text: str


def find_log(pod_logs: Path, namespace: str, pod: str, uid: str, container: str) -> Path:
    """The file of the container's last start; `pod_logs` is the kubelet's folder."""
    files = (pod_logs / f"{namespace}_{pod}_{uid}" / container).glob("*.log")
    return max(files, key=lambda path: int(path.stem))


def read_lines(log: Path, since: int) -> list[Line]:
    """The lines behind the first `since` bytes.

    Source: the kubelet's log format, `<RFC 3339 time> <stream> <P or F> <text>`.
    """
    with log.open("rb") as stream:
        stream.seek(since)
        lines = stream.read().decode(errors="replace").splitlines()
    parts = [line.split(" ", 3) for line in lines]
    return [
        Line(datetime.fromisoformat(part[0]).timestamp(), part[3])
        for part in parts
        if len(part) == 4
    ]
