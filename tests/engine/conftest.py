import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.engine.clients import connect
from tests.engine.fault_server import FaultServer

from mailproxy.kube.client import KubeClient
from mailproxy.options import Options

WriteKubeconfig = Callable[..., str]


@pytest.fixture(autouse=True)
def no_authorities_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare each client the 50 ms that it takes to read them all."""
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    server = FaultServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def write_kubeconfig(tmp_path: Path) -> WriteKubeconfig:
    """Write a kubeconfig for a server and a user; returns its path."""

    def write(url: str, user: dict[str, Any], **cluster: Any) -> str:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url, **cluster}}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return str(path)

    return write


@pytest.fixture
def options() -> Options:
    """Options of the client; a test that needs others is parametrized with them."""
    return Options()


@pytest.fixture
async def client(
    server: FaultServer, write_kubeconfig: WriteKubeconfig, options: Options
) -> AsyncIterator[KubeClient]:
    client = await connect(write_kubeconfig(server.url, {"token": "secret"}), options=options)
    yield client
    await client.close()


@pytest.fixture
def filled(server: FaultServer) -> FaultServer:
    """The server with two widgets."""
    server.put("a", size=1, labels={"tier": "edge"})
    server.put("b", size=2)
    return server
