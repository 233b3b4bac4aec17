"""How an object is named among those of its kind."""

from typing import NamedTuple


class ObjectKey(NamedTuple):
    """Names an object among those of its kind; kinds without namespaces leave `namespace` empty."""

    namespace: str
    name: str
