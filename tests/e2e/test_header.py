"""The PROXY header in both versions, by the routes themselves and by a ServersTransportTCP."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial

import pytest

from mailproxy.api.mail_services import MAIL_SERVICES
from tests.cluster.scene import Scene
from tests.controlplane.api import wait_for
from tests.e2e.header_capture import HeaderCapture
from tests.e2e.modes import FAMILIES, MODES, Mode, Scenes, chosen_modes
from tests.e2e.report import Report
from tests.e2e.services import proxy_ports
from tests.e2e.sessions import MailClient, check_ports

Choice = tuple[str, int]  # `edge.traefik.proxyProtocolField`, `edge.proxyProtocol.version`
DEFAULT: Choice = ("Service", 2)
# Field and version are independent, so that two choices prove both values of each. All other tests
# run with the default, which comes last.
CHOICES: list[Choice] = [("ServersTransport", 1), DEFAULT]
SETTLE_SECONDS = 60.0
CAPTURE_SECONDS = 3.0


@pytest.fixture(scope="module")
def scenes(
    request: pytest.FixtureRequest, standard_scenes: Scenes, header_capture: HeaderCapture
) -> Iterator[list[Scene]]:
    """The standard scenes; their default header is restored in the end."""
    scenes = [standard_scenes.get(mode) for mode in chosen_modes(request, "standard_mode")]
    yield scenes
    choose_everywhere(scenes, DEFAULT, header_capture)


@pytest.fixture(scope="module", params=CHOICES, ids=lambda choice: f"{choice[0]}-v{choice[1]}")
def choice(
    request: pytest.FixtureRequest, scenes: list[Scene], header_capture: HeaderCapture
) -> Choice:
    """A choice that is in effect in all scenes."""
    choice: Choice = request.param
    choose_everywhere(scenes, choice, header_capture)
    return choice


def choose_everywhere(scenes: list[Scene], choice: Choice, header_capture: HeaderCapture) -> None:
    with ThreadPoolExecutor(max(1, len(scenes))) as pool:
        list(pool.map(partial(choose, choice=choice, header_capture=header_capture), scenes))


def choose(scene: Scene, choice: Choice, header_capture: HeaderCapture) -> None:
    """Change the MailProxy, and return when every port gets the header of that version."""
    edge = scene.cluster.api.get("MailProxy", "mail", scene.mail)["spec"]["edge"]
    present = (
        edge.get("traefik", {}).get("proxyProtocolField", DEFAULT[0]),
        edge["proxyProtocol"]["version"],
    )
    field, version = choice
    if present == choice:
        return
    assert present[1] != version, "the headers would not show when it is in effect"
    change = {"traefik": {"proxyProtocolField": field}, "proxyProtocol": {"version": version}}
    scene.cluster.api.merge_patch("MailProxy", "mail", {"spec": {"edge": change}}, scene.mail)
    expected = dict.fromkeys(proxy_ports(scene), version)
    wait_for(
        lambda: connect_to_all_ports(scene, header_capture) == expected,
        SETTLE_SECONDS,
        f"these headers: {expected}",
    )


def connect_to_all_ports(scene: Scene, header_capture: HeaderCapture) -> dict[int, int]:
    """Connect to all ports; returns the versions of the headers by the mail server's port."""
    server, client = mail_server(scene), scene.cluster.addresses.host[0]
    with ExitStack() as stack:
        connections = [
            stack.enter_context(
                socket.create_connection((scene.addresses[0], service.port), CAPTURE_SECONDS)
            )
            for service in MAIL_SERVICES
        ]
        own_ports = {connection.getsockname()[1] for connection in connections}

        def find() -> dict[int, int]:
            headers = header_capture.find(server, client)
            return {h.port: h.version for h in headers if h.client_port in own_ports}

        with suppress(AssertionError):  # a route may not be there yet
            wait_for(lambda: len(find()) == len(connections), CAPTURE_SECONDS)
        return find()


def mail_server(scene: Scene) -> str:
    """IPv4 address of its pod."""
    address: str = scene.mail_pod()["status"]["podIP"]
    return address


@pytest.mark.parametrize("standard_mode", MODES, ids="-".join)
def test_field_selects_the_object_that_asks_for_the_header(
    standard_mode: Mode, choice: Choice, standard_scenes: Scenes
) -> None:
    scene = standard_scenes.get(standard_mode)
    field, version = choice
    routes = scene.cluster.api.list("IngressRouteTCP", scene.mail)
    backends = [route["spec"]["routes"][0]["services"][0] for route in routes]
    transports = scene.cluster.api.list("ServersTransportTCP", scene.mail)
    if field == "Service":
        assert [b["proxyProtocol"] for b in backends] == [{"version": version}] * len(backends)
        assert not transports and not any("serversTransport" in b for b in backends)
    else:
        assert [t["spec"]["proxyProtocol"] for t in transports] == [{"version": version}]
        assert not any("proxyProtocol" in backend for backend in backends)


@FAMILIES
@pytest.mark.parametrize("standard_mode", MODES, ids="-".join)
def test_all_ports_work_with_this_header(
    family: int,
    standard_mode: Mode,
    choice: Choice,
    standard_scenes: Scenes,
    header_capture: HeaderCapture,
    report: Report,
) -> None:
    scene = standard_scenes.get(standard_mode)
    field, version = choice
    client, server = scene.cluster.addresses.host[family], mail_server(scene)
    known = len(header_capture.headers)

    way = f"v{version} {field}"
    check_ports(MailClient(scene, scene.addresses[family], way=way), client, report)

    headers = header_capture.find(server, client, known)
    versions = {h.port: h.version for h in headers}
    assert versions == dict.fromkeys(proxy_ports(scene), version), headers
