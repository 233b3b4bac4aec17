"""Two mail servers behind one edge: on TLS ports the name that a client asks for selects one."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from mailproxy.api.mail_services import Daemon, Listeners, PortName
from tests.cluster.cluster import Cluster
from tests.cluster.scene import Scene
from tests.controlplane.api import wait_for
from tests.e2e import server_log
from tests.e2e.header_capture import HeaderCapture
from tests.e2e.modes import FAMILIES
from tests.e2e.report import Report
from tests.e2e.server_log import LoggedClient
from tests.e2e.services import SERVICES, proxy_port
from tests.e2e.sessions import LOG_SECONDS, MailClient, check_ports

INDEX = 30  # of LoadBalancer addresses
LISTENERS = ("Separate", "Shared")
HOSTNAMES = {"2.3": "mail.example.com", "2.4": "mail.example.net"}  # by version of Dovecot
WRONG_NAMES = {"wrong name": "mail.example.org", "no name": ""}
TLS_PORTS = (PortName.SUBMISSIONS, PortName.IMAPS, PortName.POP3S)
OWN_CERTIFICATE = "/etc/dms/tls/cert"  # in the mail server
ROUTE_SECONDS = 120.0
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


@dataclass(frozen=True)
class MailServer:
    """One of two behind an edge; `certificate` is in PEM."""

    scene: Scene
    certificate: str


Pair = tuple[MailServer, MailServer]


@pytest.fixture(scope="module")
def pairs(cluster: Cluster) -> Iterator[dict[str, Future[Pair]]]:
    """Two MailProxies with two mail servers and one edge, for each listener mode."""
    with ThreadPoolExecutor(len(LISTENERS)) as pool:
        pairs = {mode: pool.submit(create_pair, cluster, mode) for mode in LISTENERS}
    yield pairs
    for pair in pairs.values():
        for server in pair.result():
            server.scene.delete()


@pytest.fixture(scope="module", params=LISTENERS)
def pair(request: pytest.FixtureRequest, pairs: dict[str, Future[Pair]]) -> Pair:
    """The pair of a listener mode."""
    return pairs[request.param].result()


def create_pair(cluster: Cluster, listeners: str) -> Pair:
    index = INDEX + LISTENERS.index(listeners)
    name = f"sni-{listeners.lower()}"
    first = Scene(cluster, name, index, "2.3", listeners, HOSTNAMES["2.3"])
    second = Scene(cluster, f"{name}-2", index, "2.4", listeners, HOSTNAMES["2.4"], edge_of=name)
    first.create_edge(watched=[first.mail, second.mail])
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(create_mail_server, (first, second))
    return one, two


def create_mail_server(scene: Scene) -> MailServer:
    """Returns when every port is routed, and the log shows all connections that this took."""
    scene.create_mail_server(ports=[{"name": port, "sni": "Hostname"} for port in TLS_PORTS])
    server = MailServer(scene, scene.run_in_mail_server("cat", OWN_CERTIFICATE))
    for port in TLS_PORTS:
        wait_until_routed(server, port)
    return server


def wait_until_routed(server: MailServer, port: PortName) -> None:
    scene, client = server.scene, server.scene.cluster.addresses.host[0]
    wait_for(
        lambda: ask(scene.addresses[0], port, scene.hostname) == server.certificate,
        ROUTE_SECONDS,
        f"the certificate of {scene.hostname} on port {SERVICES[port].port}",
    )
    wait_for(lambda: find_connections(scene, port, client), LOG_SECONDS, scene.logs)


def ask(address: str, port: PortName, name: str) -> str:
    """Certificate of the server that answers, in PEM; empty without TLS.

    Args:
        name: Sent by SNI; empty for no SNI.
    """
    host = f"[{address}]" if ":" in address else address
    sni = ["-servername", name] if name else ["-noservername"]
    answer = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{SERVICES[port].port}", *sni],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
    )
    found = PEM.search(answer.stdout)
    return found[0] if found else ""


def find_connections(
    scene: Scene, port: PortName, client: str, since: int = 0
) -> list[LoggedClient]:
    """Connections of a client without a login, in the log after its first `since` bytes."""
    service, log = SERVICES[port], scene.logs(since=since)
    if service.daemon == Daemon.SMTPD:
        name = server_log.syslog_name(service, Listeners(scene.listeners))
        found = server_log.find_smtpd_connects(log, name)
    else:
        found = server_log.find_failed_logins(log, service.daemon)
    return [logged for logged in found if str(logged.address) == client]


@FAMILIES
@pytest.mark.parametrize("dovecot", HOSTNAMES)
def test_right_name_reaches_the_mail_server_of_that_name(
    family: int, dovecot: str, pair: Pair, report: Report
) -> None:
    (server,) = (server for server in pair if server.scene.dovecot == dovecot)
    scene = server.scene
    client = MailClient(
        scene,
        scene.addresses[family],
        server_name=scene.hostname,
        certificate=server.certificate,
        way="SNI",
    )
    check_ports(client, scene.cluster.addresses.host[family], report, TLS_PORTS)


@FAMILIES
@pytest.mark.parametrize("name", WRONG_NAMES.values(), ids=WRONG_NAMES)
def test_any_other_name_reaches_neither(
    name: str, family: int, pair: Pair, header_capture: HeaderCapture
) -> None:
    scenes = [server.scene for server in pair]
    address = scenes[0].addresses[family]
    logs, headers = [scene.log_size() for scene in scenes], len(header_capture.headers)
    with ThreadPoolExecutor(len(TLS_PORTS)) as pool:
        found = list(pool.map(lambda port: ask(address, port, name), TLS_PORTS))
    assert not {server.certificate for server in pair} & set(found), found

    # A connection with the right name shows up, and it is the only one.
    for scene, log in zip(scenes, logs, strict=True):
        expect_one_connection(scene, family, log, header_capture, headers)


def expect_one_connection(
    scene: Scene, family: int, log: int, header_capture: HeaderCapture, headers: int
) -> None:
    """Connect with the right name, once to each port: no other connection is in the log.

    Captured headers are in order. A line of the log may be late.
    """
    client, server = scene.cluster.addresses.host[family], scene.mail_pod()["status"]["podIP"]
    for port in TLS_PORTS:
        ask(scene.addresses[family], port, scene.hostname)
    ports = [proxy_port(SERVICES[port], scene) for port in TLS_PORTS]
    seen = partial(header_capture.find, server, client, headers)
    wait_for(lambda: set(ports) <= {header.port for header in seen()}, LOG_SECONDS, seen)
    assert sorted(header.port for header in seen()) == sorted(ports), seen()
    for port in TLS_PORTS:
        find = partial(find_connections, scene, port, client, log)
        found = wait_for(find, LOG_SECONDS, scene.logs)
        assert len(found) == 1, [logged.line for logged in found]
