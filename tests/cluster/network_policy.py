"""Enforces the NetworkPolicies of a one-node cluster: run it in the node's network namespace.

`python -m tests.cluster.network_policy --kubeconfig FILE` ends when it is told to. Its output says
what is enforced since when. A policy bites some 0.1 s after it was written.
"""

import argparse
import http.client
import json
import ssl
import subprocess
import threading
import time
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from urllib.request import Request, urlopen

from tests.cluster.policy_rules import compile_ruleset
from tests.cluster.programs import find_debian
from tests.controlplane.api import Api, ApiStatus, list_path

KINDS = ("Pod", "Namespace", "NetworkPolicy")
WATCH_SECONDS = 300
SILENT_SECONDS = 30.0  # a watch that ends says so sooner: this is for what it may have missed
RETRY_SECONDS = 0.5


def main() -> None:
    """Follow the API server for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    kubeconfig = parser.parse_args().kubeconfig
    changed = threading.Event()
    for kind in KINDS:
        threading.Thread(target=watch, args=(kubeconfig, kind, changed), daemon=True).start()
    enforce(Api(kubeconfig), changed)


def watch(kubeconfig: Path, kind: str, changed: threading.Event) -> None:
    """Set `changed` whenever an object of a kind may have changed; never returns."""
    config = json.loads(kubeconfig.read_text())
    server = config["clusters"][0]["cluster"]
    authority = b64decode(server["certificate-authority-data"]).decode()
    tls = ssl.create_default_context(cadata=authority)
    # Without a resourceVersion a watch begins with all there is: none needs to be remembered.
    request = Request(
        f"{server['server']}{list_path(kind)}?watch=1&timeoutSeconds={WATCH_SECONDS}",
        headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
    )
    while True:
        try:
            with urlopen(request, timeout=WATCH_SECONDS + 30, context=tls) as events:
                for _ in events:
                    changed.set()
        except (OSError, http.client.HTTPException) as error:
            print(f"watch on {kind}: {error}; once more", flush=True)
            time.sleep(RETRY_SECONDS)


def enforce(api: Api, changed: threading.Event) -> None:
    """Look again after each change, and apply what has become different; never returns."""
    nft = find_debian("nft")
    applied = ""
    while True:
        changed.wait(SILENT_SECONDS)
        changed.clear()
        try:
            pods, namespaces, policies = (api.list(kind) for kind in KINDS)
        except (ApiStatus, OSError, http.client.HTTPException) as error:
            print(f"no answer from the API server: {error}; once more", flush=True)
            retry(changed)
            continue
        ruleset = compile_ruleset(pods, namespaces, policies)
        if ruleset == applied:
            continue
        if complaint := apply_ruleset(nft, ruleset):
            print(f"nft refuses the rules, once more:\n{complaint}", flush=True)
            retry(changed)
            continue
        applied = ruleset
        names = [f"{p['metadata']['namespace']}/{p['metadata']['name']}" for p in policies]
        what = f"{len(names)} policies among {len(pods)} pods: {', '.join(sorted(names))}"
        print(f"{datetime.now():%H:%M:%S.%f} enforcing {what}", flush=True)


def apply_ruleset(nft: Path, ruleset: str) -> str:
    """Give the text to the kernel, all of it or nothing; returns what nft complains of."""
    answer = subprocess.run([nft, "-f", "-"], input=ruleset, text=True, capture_output=True)
    return (answer.stderr or f"exit code {answer.returncode}") if answer.returncode else ""


def retry(changed: threading.Event) -> None:
    """Let the next look come soon, whether or not anything changes."""
    time.sleep(RETRY_SECONDS)
    changed.set()


if __name__ == "__main__":
    main()
