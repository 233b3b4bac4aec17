"""Clients as the operator makes its own."""

from mailproxy.api.labels import MANAGER
from mailproxy.kube.client import KubeClient
from mailproxy.options import Options


async def connect(
    kubeconfig: str | None, context: str | None = None, options: Options | None = None
) -> KubeClient:
    """A client in the operator's name."""
    return await KubeClient.connect(kubeconfig, context, field_manager=MANAGER, options=options)
