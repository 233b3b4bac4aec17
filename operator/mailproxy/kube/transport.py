"""HTTP to one API server: a fresh token, a timeout and a typed error for every request."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.rest import RESTResponse

from mailproxy import __version__
from mailproxy.kube.credentials import ConfigError, Credentials, Login
from mailproxy.kube.errors import TransientError, WatchStalled, error_from_response

_JSON = "application/json"
_VERBS = {  # HTTP method and content type
    "get": ("GET", _JSON),
    "list": ("GET", _JSON),
    "watch": ("GET", _JSON),
    "create": ("POST", _JSON),
    "delete": ("DELETE", _JSON),
    "apply": ("PATCH", "application/apply-patch+yaml"),  # JSON is YAML
    "patch": ("PATCH", "application/merge-patch+json"),
}


class Transport:
    """One identity at one API server.

    Of the `kubernetes` package only its reading of credentials and its ApiClient are used: the
    typed APIs cost 24 to 34 MiB and a second at start, and six times the time per object.
    """

    def __init__(self, login: Login, request_seconds: float) -> None:
        self._login = login
        self._request_seconds = request_seconds
        try:
            self._api: Any = ApiClient(login.configuration)  # few of its methods are annotated
        except OSError as error:
            raise ConfigError(f"unusable certificate or key: {error}") from error
        self._api.user_agent = f"mailproxy-operator/{__version__}"

    async def close(self) -> None:
        """Close all connections, those of open watches too."""
        await self._api.close()

    async def credentials(self) -> Credentials:
        """Return what another HTTP client needs to act as we do."""
        configuration = self._login.configuration
        return Credentials(
            server=configuration.host,
            ssl_context=self._api.rest_client.ssl_context,
            token=await self._login.token(),
            proxy=configuration.proxy,
        )

    async def request(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send one request and decode its answer, all within `request_seconds`."""
        limits = aiohttp.ClientTimeout(total=self._request_seconds)
        with _lost_connection(f"{verb} {path}"):
            response = await self._send(verb, path, query or {}, limits, body)
            answer: dict[str, Any] = json.loads(await response.response.read())
        return answer

    async def lines(
        self, path: str, query: Mapping[str, str], idle_seconds: float, on_open: Callable[[], None]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a watch; `on_open` tells that the server has accepted it.

        Raises WatchStalled when no byte came for `idle_seconds`, or no answer at all.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_read=idle_seconds)
        with _lost_connection(f"watch {path}", timeout_error=WatchStalled):
            async with asyncio.timeout(self._request_seconds):
                response = await self._send("watch", path, query, limits)
            try:
                on_open()
                async for line in response.response.content:
                    yield line
            finally:
                response.response.close()

    async def _send(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
        body: dict[str, Any] | None = None,
    ) -> RESTResponse:
        """Return the answer, its body not yet read, if it is a good one."""
        method, content_type = _VERBS[verb]
        request = await self._api.param_serialize(
            method,
            path,
            query_params={key: value for key, value in query.items() if value},
            header_params={"Accept": _JSON, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        response: RESTResponse = await self._api.call_api(*request, _request_timeout=limits)
        if response.status < 300:
            return response
        if response.status == 401:
            self._login.expire()
        received = await response.response.read()
        raise error_from_response(response.status, received, response.headers)


@contextmanager
def _lost_connection(
    doing: str, timeout_error: type[TransientError] = TransientError
) -> Iterator[None]:
    """Turn what aiohttp and a broken answer raise into a TransientError."""
    try:
        yield
    except TimeoutError as error:
        raise timeout_error(f"{doing}: timed out") from error
    except (
        aiohttp.ClientError,
        HttpProcessingError,  # a line that is too long is no ClientError
        OSError,
        json.JSONDecodeError,
    ) as error:
        raise TransientError(f"{doing}: {error!r}") from error
