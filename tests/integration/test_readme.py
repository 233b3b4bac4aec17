"""The section Install of README.md: its commands print what it says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.api import wait_for
from tests.controlplane.edge import (
    ALL_SERVICES,
    ENTRY_POINTS,
    create_mail_pod,
    create_namespace,
    create_proxy_pod,
    create_traefik_service,
    delete_namespace,
    delete_pod,
)
from tests.integration.cluster import Installation
from tests.integration.scene import NODE, ensure_node

REPOSITORY = Path(__file__).resolve().parents[2]
SECTION = (REPOSITORY / "README.md").read_text().partition("## Install")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^ *kubectl (.*)$", SECTION, re.MULTILINE)
READY, MISSING = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
PODS = {"traefik-a": "10.1.0.1", "traefik-b": "10.1.0.2"}


@pytest.fixture
def cluster(installed: Installation) -> Iterator[Installation]:
    """An edge and a mail server where the example expects them."""
    installed.operator.ensure_running()
    api = installed.api
    for namespace in ("traefik", "mail"):
        create_namespace(api, namespace)
    ensure_node(api, NODE)
    create_traefik_service(api)
    for name, ip in PODS.items():
        create_proxy_pod(api, name, [ip], NODE)
    create_mail_pod(api, "docker-mailserver-0", ["10.9.9.9"], NODE, namespace="mail")
    yield installed
    api.delete("MailProxy", "mail", "mail")
    for namespace in ("traefik", "mail"):
        delete_namespace(api, namespace)


def lose_imaps(cluster: Installation) -> None:
    """Traefik is rolled out anew, without the entryPoint for imaps."""
    services = [service for service in ALL_SERVICES if service != "imaps"]
    ports = [
        {"name": e.port_name, "port": e.exposed_port, "targetPort": e.port_name}
        for e in map(ENTRY_POINTS.__getitem__, services)
    ]
    cluster.api.merge_patch("Service", "traefik", {"spec": {"ports": ports}}, "traefik")
    for name, ip in PODS.items():
        delete_pod(cluster.api, name)
        create_proxy_pod(cluster.api, name, [ip], NODE, services=services)


def words(table: str) -> list[str]:
    """What a table says, up to an ellipsis, without ages."""
    return [re.sub(r"^\d+[smh]$", "<age>", word) for word in table.partition(" ...")[0].split()]


def test_commands_print_what_the_readme_shows(cluster: Installation) -> None:
    install, *commands, get = COMMANDS
    assert install == "apply -k manifests/default"  # `installed` has more than that
    for command in commands:
        cluster.plane.run_kubectl(
            *command.replace("manifests/", f"{REPOSITORY}/manifests/").split()
        )
    assert words(cluster.plane.run_kubectl(*get.split()).stdout) == words(READY)
    lose_imaps(cluster)

    def printed() -> list[str]:
        wide = cluster.plane.run_kubectl(*get.split(), "-o", "wide").stdout
        return words(wide)[: len(words(MISSING))]

    wait_for(lambda: printed() == words(MISSING), 20, printed)
