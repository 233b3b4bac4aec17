import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from kubernetes.aio.config import incluster_config
from tests.engine.clients import connect
from tests.engine.fault_server import status

from mailproxy.identity import Resource
from mailproxy.kube.credentials import ConfigError, Login
from mailproxy.kube.errors import TransientError
from mailproxy.options import Options

WIDGETS = Resource("example.dev", "v1", "widgets", "Widget")
TOKEN_SECONDS = Options().token_seconds


@pytest.fixture(autouse=True)
def no_kubeconfig_of_the_developers(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


@pytest.fixture
def pod(monkeypatch, tmp_path: Path, token_file: Path) -> Path:
    """Let the process look like one in a pod; returns the file of its token."""
    authority = tmp_path / "ca.crt"
    _openssl(
        tmp_path,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        " -subj /CN=ca -keyout ca.key -out ca.crt",
    )
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token_file))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return token_file


async def test_every_request_carries_the_token_and_says_who_we_are(server, client):
    await client.list(WIDGETS)
    assert server.requests[-1].headers["Authorization"] == "Bearer secret"
    assert server.requests[-1].headers["User-Agent"].startswith("mailproxy-operator/")


async def test_the_token_is_read_again_after_a_minute(server, write_kubeconfig, token_file):
    now = [0.0]
    kubeconfig = write_kubeconfig(server.url, {"tokenFile": str(token_file)})
    login = await load(kubeconfig, clock=lambda: now[0])
    token_file.write_text("second\n")
    now[0] = TOKEN_SECONDS - 1
    assert await login.token() == "first"
    now[0] = TOKEN_SECONDS
    assert await login.token() == "second"


async def test_the_token_is_read_again_once_it_is_refused(server, write_kubeconfig, token_file):
    client = await connect(write_kubeconfig(server.url, {"tokenFile": str(token_file)}))
    token_file.write_text("second\n")
    server.fail("list", status(401))
    with pytest.raises(TransientError):
        await client.list(WIDGETS)
    await client.list(WIDGETS)
    await client.close()
    tokens = [seen.headers["Authorization"].split() for seen in server.requests]
    assert tokens == [["Bearer", "first"], ["Bearer", "second"]]


async def test_a_token_that_cannot_be_read_again_is_still_used(write_kubeconfig, token_file):
    kubeconfig = write_kubeconfig("http://localhost", {"tokenFile": str(token_file)})
    login = await load(kubeconfig)
    login.expire()
    token_file.unlink()
    assert await login.token() == "first"


async def test_in_a_pod_its_service_account_is_used(pod):
    client = await connect(None)
    pod.write_text("second")
    found = await client.credentials()
    await client.close()
    assert (found.server, found.token) == ("https://[fd00::1]:443", "first")
    assert len(found.ssl_context.get_ca_certs()) == 1
    assert "first" not in repr(found)


async def test_in_a_pod_the_token_is_read_again(pod):
    now = [0.0]
    login = await load(None, clock=lambda: now[0])
    pod.write_text("second")
    now[0] = TOKEN_SECONDS
    assert await login.token() == "second"


@pytest.mark.usefixtures("pod")
async def test_a_named_kubeconfig_wins_over_the_pods_account(write_kubeconfig):
    login = await load(write_kubeconfig("http://localhost:1", {"token": "mine"}))
    assert login.configuration.host == "http://localhost:1"


async def test_the_kubeconfig_of_the_environment_is_used(monkeypatch, write_kubeconfig):
    monkeypatch.setenv("KUBECONFIG", write_kubeconfig("http://localhost:1", {"token": "mine"}))
    assert await (await load(None)).token() == "mine"


@pytest.mark.parametrize("content", [None, "", "[]", "a: b: c", "current-context: x\n"])
async def test_an_unusable_kubeconfig_is_reported(tmp_path, content):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError):
        await connect(str(path))


async def test_an_unknown_context_is_reported(write_kubeconfig):
    with pytest.raises(ConfigError, match="other"):
        await connect(write_kubeconfig("http://localhost", {"token": "x"}), "other")


async def test_a_netrc_of_the_user_does_not_get_in_the_way(server, client, tmp_path):
    (tmp_path / ".netrc").write_text("default login a password b\n")
    await client.list(WIDGETS)
    assert server.requests[-1].headers["Authorization"] == "Bearer secret"


async def test_a_proxy_of_the_environment_is_used_but_for_exceptions(monkeypatch, write_kubeconfig):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    kubeconfig = write_kubeconfig("https://api.example.com", {"token": "x"})
    assert (await load(kubeconfig)).configuration.proxy == "http://proxy:3128"
    monkeypatch.setenv("NO_PROXY", ".example.com")
    assert (await load(kubeconfig)).configuration.proxy is None


async def test_a_client_certificate_works_here_and_with_the_handed_out_credentials(
    tmp_path, write_kubeconfig
):
    server, url = await _start_tls_server(tmp_path)
    client = await connect(
        write_kubeconfig(
            url,
            {
                "client-certificate": str(tmp_path / "user.crt"),
                "client-key": str(tmp_path / "user.key"),
            },
            **{"certificate-authority": str(tmp_path / "ca.crt")},
        )
    )
    found = await client.credentials()
    assert found.token is None
    assert (await client.list(WIDGETS)).resource_version == "user"
    async with ClientSession() as session, session.get(url, ssl=found.ssl_context) as answer:
        assert (await answer.json())["metadata"]["resourceVersion"] == "user"
    await client.close()
    await server.cleanup()


async def test_a_broken_client_certificate_is_reported(tmp_path, write_kubeconfig):
    (tmp_path / "user.crt").write_text("no certificate")
    user = {
        "client-certificate": str(tmp_path / "user.crt"),
        "client-key": str(tmp_path / "user.crt"),
    }
    with pytest.raises(ConfigError, match="certificate"):
        await connect(write_kubeconfig("https://localhost", user))


async def load(kubeconfig: str | None, clock: Callable[[], float] = time.monotonic) -> Login:
    """A login with no context named, whose token is read again as often as by default."""
    return await Login.load(kubeconfig, None, TOKEN_SECONDS, clock)


async def _start_tls_server(folder: Path) -> tuple[web.AppRunner, str]:
    """A server that wants a client certificate, and answers with its name."""
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    _openssl(folder, f"req -x509 {key} -subj /CN=ca -keyout ca.key -out ca.crt")
    for name in ("server", "user"):
        _openssl(
            folder,
            f"req -x509 {key} -CA ca.crt -CAkey ca.key -subj /CN={name}"
            f" -addext subjectAltName=IP:127.0.0.1 -keyout {name}.key -out {name}.crt",
        )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(request: web.Request) -> web.Response:
        subject = request.transport.get_extra_info("peercert")["subject"]
        return web.json_response({"metadata": {"resourceVersion": subject[0][0][1]}})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    return runner, f"https://127.0.0.1:{runner.addresses[0][1]}"


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)
