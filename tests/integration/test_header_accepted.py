"""The operator connects through each proxy pod: does the mail server accept its PROXY header?"""

from collections.abc import Iterator

import pytest

from tests.controlplane.api import wait_for
from tests.controlplane.audit import AuditLog
from tests.controlplane.edge import set_pod_status
from tests.integration.listener import Listener
from tests.integration.scene import SETTLE_SECONDS, Scene
from tests.integration.volume_refresh import find_refreshes, read_annotation, wait_for_refresh

GREETING = b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Closes every connection, as a proxy pod does whose header is refused."""
    with Listener() as listener:
        yield listener


def add_all(scene: Scene, listener: Listener) -> None:
    """An edge whose pod's IMAP entryPoint is the listener, a mail server, and a MailProxy."""
    scene.add_edge()
    arguments = [f"--entryPoints.mail-imap.address=:{listener.port}/tcp"]
    scene.add_proxy_pod("traefik-0", listener.address, args=arguments)
    scene.add_mail_server()
    scene.apply(probe="Enabled", ports=[{"name": "imap"}])


def wait_for_headers(scene: Scene, *expected: bool | None) -> None:
    """Wait until the status says this of the proxy pods; None: not known."""

    def read() -> list[bool | None]:
        return [proxy.get("believed") for proxy in scene.status().get("proxies", [])]

    wait_for(lambda: read() == list(expected), SETTLE_SECONDS, read)


def test_pod_is_refused_until_the_mail_server_greets_through_it(
    scene: Scene, listener: Listener
) -> None:
    add_all(scene, listener)
    wait_for_headers(scene, False)
    listener.words = GREETING
    wait_for_headers(scene, True)
    listener.words = b""
    scene.add_proxy_pod("traefik-1", "192.0.2.99")  # a changed list makes it look again
    wait_for_headers(scene, False, None)


def test_pod_with_a_new_address_is_unknown(scene: Scene, listener: Listener) -> None:
    listener.words = GREETING
    add_all(scene, listener)
    wait_for_headers(scene, True)
    set_pod_status(scene.api, "traefik-0", ["192.0.2.99"], namespace=scene.edge)
    wait_for_headers(scene, None)


def test_all_is_unknown_while_no_mail_server_is_ready(scene: Scene, listener: Listener) -> None:
    listener.words = GREETING
    add_all(scene, listener)
    wait_for_headers(scene, True)
    set_pod_status(scene.api, "dms-0", ["10.9.9.9"], namespace=scene.mail, ready=False)
    wait_for_headers(scene, None)


def test_disabled_probe_makes_no_connection(scene: Scene, listener: Listener) -> None:
    listener.words = GREETING
    add_all(scene, listener)
    wait_for_headers(scene, True)
    scene.apply(probe="Disabled", ports=[{"name": "imap"}])
    wait_for_headers(scene, None)


def test_mail_pod_is_refreshed_again_while_a_proxy_pod_is_refused(
    scene: Scene, listener: Listener, audit: AuditLog
) -> None:
    add_all(scene, listener)
    trust_hash = wait_for_refresh(scene)
    wait_for(lambda: read_annotation(scene) == f"{trust_hash}.2", SETTLE_SECONDS)
    listener.words = GREETING
    wait_for_headers(scene, True)
    assert len(find_refreshes(audit, scene)) == 2
