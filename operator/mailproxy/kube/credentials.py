"""Where the API server is and who we are there, from a kubeconfig or the pod's own account."""

import inspect
import logging
import math
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, incluster_config, kube_config

log = logging.getLogger(__name__)

# The last two come from files of another shape than a kubeconfig's.
_UNUSABLE = (ConfigException, OSError, ValueError, TypeError, yaml.YAMLError)


class ConfigError(Exception):
    """There is no usable kubeconfig or service account; the message says what is wrong."""


@dataclass(frozen=True)
class Credentials:
    """What another HTTP client needs to act as we do.

    `token` goes behind the word `Bearer`; it is None where a client certificate, which is part of
    `ssl_context`, says who we are. `proxy` is None but for a kubeconfig or environment that
    asks for one.
    """

    server: str
    ssl_context: ssl.SSLContext
    token: str | None = field(repr=False)
    proxy: str | None


class Login:
    """A configuration of the `kubernetes` client whose token is never older than `token_seconds`.

    The kubelet replaces a token long before it expires.
    """

    def __init__(
        self,
        loader: Any,
        configuration: Configuration,
        token_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.configuration = configuration
        self._token_seconds = token_seconds
        self._loader = loader
        self._clock = clock
        self._read_at = clock()
        configuration.refresh_api_key_hook = self._refresh  # type: ignore[assignment]  # says None

    @classmethod
    async def load(
        cls,
        kubeconfig: str | None,
        context: str | None,
        token_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Take the pod's service account if no kubeconfig is named and there is one.

        Else the named kubeconfig, `$KUBECONFIG` or `~/.kube/config`. Raises ConfigError.
        """
        configuration = Configuration(
            # 0 is no limit: each watch keeps a connection, and a request must not wait for one.
            connection_pool_maxsize=0,
            # With trust_env aiohttp reads ~/.netrc in a thread before every request, and refuses
            # each where it finds an entry for the server.
            client_session_kwargs={"trust_env": False},
        )
        # Python 3.13 refuses certificates that lack extensions of RFC 5280, as those of many
        # clusters do; Go, and so kubectl, takes them.
        configuration.disable_strict_ssl_verification = True
        try:
            loader = _find_loader(kubeconfig, context)
            await _load(loader, configuration)
        except _UNUSABLE as error:
            raise ConfigError(str(error)) from error
        configuration.proxy = configuration.proxy or _find_proxy(configuration.host)
        return cls(loader, configuration, token_seconds, clock)

    async def token(self) -> str | None:
        """Return the bearer token as it is now, without the word `Bearer`."""
        header = await self.configuration.get_api_key_with_prefix("BearerToken")
        return header.partition(" ")[2] if header else None

    def expire(self) -> None:
        """Have the token read anew for the next request: the server has refused this one."""
        self._read_at = -math.inf

    async def _refresh(self, configuration: Configuration) -> None:
        if self._clock() - self._read_at < self._token_seconds:
            return
        self._read_at = self._clock()
        try:
            await _load(self._loader, configuration)
        except _UNUSABLE as error:
            # The token at hand may still be good; if not, the server will say so.
            log.warning("cannot read the credentials anew: %s", error)


def _find_loader(kubeconfig: str | None, context: str | None) -> Any:
    token_file = incluster_config.SERVICE_TOKEN_FILENAME
    if kubeconfig is None and context is None and Path(token_file).is_file():
        return incluster_config.InClusterConfigLoader(  # type: ignore[no-untyped-call]
            token_file, incluster_config.SERVICE_CERT_FILENAME, try_refresh_token=False
        )
    paths = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    merged = kube_config.KubeConfigMerger(paths)  # type: ignore[no-untyped-call]
    if merged.config is None:
        raise ConfigError(f"no kubeconfig at `{paths}`")
    return kube_config.KubeConfigLoader(  # type: ignore[no-untyped-call]
        config_dict=merged.config, active_context=context, config_base_path=None
    )


async def _load(loader: Any, configuration: Configuration) -> None:
    loading = loader.load_and_set(configuration)
    if inspect.isawaitable(loading):  # a kubeconfig may have to run a plugin
        await loading
    if token := configuration.api_key.get("BearerToken"):
        configuration.api_key["BearerToken"] = token.strip()  # a file may end in a newline


def _find_proxy(server: str) -> str | None:
    url = urlsplit(server)
    return None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)
