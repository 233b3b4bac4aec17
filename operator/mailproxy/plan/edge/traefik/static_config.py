"""Traefik's static configuration, from the arguments and variables of its pods."""

import re
from collections.abc import Iterable, Iterator

from mailproxy.observed.pod import Container, Pod

# Flags take one or two dashes, in any case; the name keeps its case there, while that of a
# variable arrives in lower case (Traefik's flag and environment parsers).
_FLAG = re.compile(
    r"--?entrypoints\.(?P<name>[a-z0-9_-]{1,255})\.address(=(?P<value>.*))?", re.IGNORECASE
)
_VARIABLE = re.compile(r"TRAEFIK_ENTRYPOINTS_(?P<name>[a-z0-9-]{1,255})_ADDRESS", re.IGNORECASE)
_CONFIG_FILE = re.compile(r"--?configfile(=.*)?", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r".*:(?P<port>[0-9]{1,5})(/tcp)?", re.IGNORECASE)


def find_entry_points(containers: Iterable[Container]) -> dict[str, int]:
    """TCP entryPoints by name, from arguments or environment."""
    found: dict[str, int] = {}
    for container in containers:
        for name, address in _address_settings(container):
            if match := _ADDRESS.fullmatch(address.strip()):
                found[name] = int(match["port"])
    return found


def _address_settings(container: Container) -> Iterable[tuple[str, str]]:
    """EntryPoints and their addresses from the one source that Traefik reads.

    A file that a flag names hides all flags, and any flag hides all variables (Traefik, "Static
    configuration": the three are mutually exclusive).
    """
    arguments = container.arguments
    if any(_CONFIG_FILE.fullmatch(argument) for argument in arguments):
        return
    for argument, following in zip(arguments, (*arguments[1:], ""), strict=False):
        if match := _FLAG.fullmatch(argument):
            yield match["name"], following if match["value"] is None else match["value"]
    if any(argument.startswith("-") for argument in arguments):
        return
    for variable, value in container.environment:
        if match := _VARIABLE.fullmatch(variable):
            yield match["name"].lower(), value


_PROXY_PROTOCOL = re.compile(
    r"(--?entrypoints\.(?P<flag>[a-z0-9_-]{1,255})\.proxyprotocol\b.*"
    r"|TRAEFIK_ENTRYPOINTS_(?P<variable>[a-z0-9-]{1,255})_PROXYPROTOCOL(_.*)?)",
    re.IGNORECASE | re.DOTALL,
)


def find_silent(pod: Pod) -> Iterator[str]:
    """EntryPoints that wait for a PROXY header themselves, so that nobody else is greeted."""
    for text in _settings(pod.containers):
        if match := _PROXY_PROTOCOL.fullmatch(text):
            yield match["flag"] or match["variable"].lower()


def _settings(containers: Iterable[Container]) -> Iterator[str]:
    for container in containers:
        yield from container.arguments
        yield from (name for name, _ in container.environment)
