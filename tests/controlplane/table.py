"""Prints the API server's tables the way `kubectl get` does."""

from collections.abc import Mapping
from typing import Any


def render_table(table: Mapping[str, Any], *, wide: bool = False, namespaces: bool = False) -> str:
    """Text of a meta.k8s.io/v1 `Table`, columns padded with three blanks, without a last newline.

    Args:
        wide: Show the columns of priority 1 and above too, like `kubectl get -o wide`.
        namespaces: Put the objects' namespaces first, like `kubectl get -A`.
    """
    rows = table.get("rows") or []
    if not rows:
        return "No resources found"
    columns = table["columnDefinitions"]
    shown = [i for i, column in enumerate(columns) if wide or not column["priority"]]
    lines = [[columns[i]["name"].upper() for i in shown]]
    lines += [[_cell(row["cells"][i]) for i in shown] for row in rows]
    if namespaces:
        first = ["NAMESPACE", *(row["object"]["metadata"]["namespace"] for row in rows)]
        lines = [[name, *line] for name, line in zip(first, lines, strict=True)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths) for cells in lines)


def _cell(value: object) -> str:
    """Like kubectl: null is blank, booleans are Go's, a text ends at its first newline."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    first, *more = str(value).split("\n")
    return f"{first}..." if more else first


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return "   ".join(padded).rstrip()
