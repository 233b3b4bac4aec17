"""Traefik's version, and what each lacks."""

import re

from mailproxy.observed.pod import Pod
from mailproxy.plan.edge.traefik.static_config import read_entry_points

_TAG = re.compile(r"v?(?P<version>[0-9]+(\.[0-9]+){1,2})([-+].*)?")

BROKEN_VERSION = "3.5.2"  # sends its own addresses in the header (Traefik issue 12055)
FIRST_WITH_TRANSPORT = (3, 5, 3)  # older ones ignore `proxyProtocol` of a ServersTransportTCP


def lacks_transport(version: str) -> bool:
    """Whether a version is too old for sure: `3.5` may be any of its patches."""
    parts = tuple(map(int, version.split(".")))
    return parts < FIRST_WITH_TRANSPORT[: len(parts)]


def find_version(pod: Pod) -> str:
    """Traefik's version as `3.7.9`, from the image's tag or the pod's version label; or empty."""
    for container in pod.containers:
        repository, _, tag = container.image.split("@")[0].rpartition(":")
        is_traefik = repository.rsplit("/", 1)[-1] == "traefik"
        if is_traefik or read_entry_points([container]):
            if match := _TAG.fullmatch(tag):
                return match["version"]
            break
    match = _TAG.fullmatch(pod.version_label)
    return match["version"] if match else ""
