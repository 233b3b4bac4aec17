"""An object as the API server sends it, and its labels."""

from collections.abc import Iterable, Mapping
from typing import Any

Labels = tuple[tuple[str, str], ...]


def sorted_labels(labels: Mapping[str, str] | None) -> Labels:
    return tuple(sorted((labels or {}).items()))


Object = Mapping[str, Any]


def join_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Labels as a selector: `a=1,b=2`; equal ones give equal texts."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels))
