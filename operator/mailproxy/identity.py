"""How objects and kinds are named: what every layer, even the client, has to know."""

from dataclasses import dataclass
from typing import NamedTuple


class ObjectKey(NamedTuple):
    """Names an object among those of its kind; kinds without namespaces leave `namespace` empty."""

    namespace: str
    name: str


class ObjectRef(NamedTuple):
    """Names an object among those of one namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Resource:
    """One kind as the API server serves it; `group` is empty for the core kinds."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As it stands in `apiVersion`: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> str:
        """URL path of an object, or of the collection when `name` is None.

        Without `namespace` the collection spans the cluster; kinds without namespaces ignore it.
        Raises ValueError for what is no path segment (`..`, `a/b`): names come from specs, and it
        would lead to another object.
        """
        parts = [f"/apis/{self.group}" if self.group else "/api", self.version]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        parts += [_segment(part) for part in (name, subresource) if part is not None]
        return "/".join(parts)


def _segment(text: str) -> str:
    if text in ("", ".", "..") or not text.isascii() or set(text) & set("/%?# "):
        raise ValueError(f"`{text}` cannot name an object")
    return text


PODS = Resource("", "v1", "pods", "Pod")
