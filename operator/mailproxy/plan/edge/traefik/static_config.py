"""Traefik's static configuration, from the arguments and variables of its pods."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailproxy.observed.pod import Container

# Flags take one or two dashes, in any case; the name keeps its case there, while that of a
# variable arrives in lower case (Traefik's flag and environment parsers).
_FLAG = re.compile(
    r"--?entrypoints\.(?P<name>[a-z0-9_-]{1,255})\.(?P<option>[a-z0-9.\[\]]+)(=(?P<value>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_VARIABLE = re.compile(
    r"TRAEFIK_ENTRYPOINTS_(?P<name>[a-z0-9-]{1,255})_(?P<option>[a-z0-9_]+)", re.IGNORECASE
)
_CONFIG_FILE = re.compile(r"--?configfile(=.*)?", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r".*:(?P<port>[0-9]{1,5})(/tcp)?", re.IGNORECASE)

HIGHEST_PORT = 65535


@dataclass(frozen=True)
class EntryPoint:
    """A TCP entryPoint: its port in the pod, and whether it waits for a PROXY header itself."""

    port: int
    expects_header: bool = False


@dataclass(frozen=True)
class _Option:
    """One setting of one entryPoint; `path` in lower case, with dots: `proxyprotocol.insecure`."""

    entry_point: str
    path: str
    value: str


def read_entry_points(containers: Iterable[Container]) -> dict[str, EntryPoint]:
    """TCP entryPoints by name."""
    found: dict[str, EntryPoint] = {}
    for container in containers:
        options = list(_read_options(container))
        headers = {o.entry_point for o in options if o.path.split(".")[0] == "proxyprotocol"}
        for option in options:
            port = _parse_port(option.value) if option.path == "address" else None
            if port is not None:
                name = option.entry_point
                found[name] = EntryPoint(port, expects_header=name in headers)
    return found


def _parse_port(address: str) -> int | None:
    match = _ADDRESS.fullmatch(address.strip())
    return int(match["port"]) if match and int(match["port"]) <= HIGHEST_PORT else None


def _read_options(container: Container) -> Iterator[_Option]:
    """Options of entryPoints from the one source that Traefik reads.

    A file that a flag names hides all flags, and any flag hides all variables (Traefik, "Static
    configuration": the three are mutually exclusive).
    """
    arguments = container.arguments
    if any(_CONFIG_FILE.fullmatch(argument) for argument in arguments):
        return
    for argument, following in zip(arguments, (*arguments[1:], ""), strict=False):
        if match := _FLAG.fullmatch(argument):
            value = following if match["value"] is None else match["value"]
            yield _Option(match["name"], match["option"].lower(), value)
    if any(argument.startswith("-") for argument in arguments):
        return
    for variable, value in container.environment:
        if match := _VARIABLE.fullmatch(variable):
            path = match["option"].lower().replace("_", ".")
            yield _Option(match["name"].lower(), path, value)
