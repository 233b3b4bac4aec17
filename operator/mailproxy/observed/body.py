"""An object as the API server sends it, and its labels."""

from collections.abc import Mapping
from typing import Any

Labels = tuple[tuple[str, str], ...]


def sorted_labels(labels: Mapping[str, str] | None) -> Labels:
    return tuple(sorted((labels or {}).items()))


Object = Mapping[str, Any]
