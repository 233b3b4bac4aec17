"""Kubeconfig files with a token. They are JSON: kubectl and every client read that as YAML."""

import json
from base64 import b64encode
from pathlib import Path


def write_kubeconfig(
    path: Path, *, url: str, certificate: bytes, token: str, namespace: str = "default"
) -> Path:
    """Write a kubeconfig that only its owner can read, and return its path.

    Args:
        certificate: PEM of the certificates that the server's own must be or be signed by.
    """
    cluster = {"server": url, "certificate-authority-data": b64encode(certificate).decode()}
    context = {"cluster": "mailproxy-test", "user": "mailproxy-test", "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "mailproxy-test", "cluster": cluster}],
        "users": [{"name": "mailproxy-test", "user": {"token": token}}],
        "contexts": [{"name": "mailproxy-test", "context": context}],
        "current-context": "mailproxy-test",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(config, indent=2) + "\n")
    return unfinished.replace(path)  # another process may wait for it
