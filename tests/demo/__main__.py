"""`make demo`: a control plane, the operator, an example edge, and trust that follows its pods."""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from tests.controlplane.api import Api, wait_for
from tests.controlplane.binaries import Binaries, ToolError
from tests.controlplane.crds import mailproxy_crd, traefik_crds
from tests.controlplane.edge import (
    create_mail_pod,
    create_namespace,
    create_node,
    create_proxy_pod,
    create_traefik_service,
    delete_pod,
)
from tests.controlplane.server import ControlPlane
from tests.operator_process import OperatorProcess

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "manifests" / "examples" / "mail.yaml"
FOLDER = ROOT / ".demo"
PORTS = "5/5"
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.001


def main() -> int:
    """Run the demo; 0 only if the MailProxy became what it should."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="end by itself instead of at Ctrl-C")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, FOLDER, ignore_errors=True)
            show(stack)
            if not options.exit:
                print("\nCtrl-C stops everything and leaves nothing behind.", flush=True)
                signal.pause()
    except KeyboardInterrupt:
        print("\nstopped, nothing is left")
        return 130 if options.exit else 0
    except (ToolError, AssertionError, RuntimeError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def show(stack: ExitStack) -> None:
    """Run all steps; what they start ends with `stack`."""
    binaries = _step("control plane binaries", Binaries.ensure)
    crds = _step("Traefik's CRDs", traefik_crds)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    plane = ControlPlane(FOLDER, binaries=binaries, crds=[*crds, mailproxy_crd()])
    stack.callback(plane.stop)
    _step("etcd, kube-apiserver with Traefik's CRDs and ours, controller manager", plane.start)
    api = Api(plane.kubeconfig)
    operator = OperatorProcess(plane.kubeconfig, FOLDER / "operator.log")
    stack.callback(operator.stop)
    _step("operator", operator.start)
    _step(
        "example edge: Node, Traefik Service, two proxy pods, a mail server",
        lambda: create_edge(api),
    )
    print(f"\n$ kubectl apply -f {EXAMPLE.relative_to(ROOT)}")
    print(plane.run_kubectl("apply", "-f", str(EXAMPLE)).stdout, end="")
    wait_for(lambda: _is_ready(api), WAIT_SECONDS, "the MailProxy to be Ready")
    show_objects(api)
    show_trust_change(api)
    kubectl = binaries.path("kubectl")
    print(f"\nTry more:\n  export KUBECONFIG={plane.kubeconfig}")
    print(f"  {kubectl} get mailproxy -n mail -o wide")
    print(f"  {kubectl} get configmap mail-overrides -n mail -o yaml")
    print(f"  {kubectl} explain mailproxy.spec.trust\n  tail -f {FOLDER / 'operator.log'}")


def create_edge(api: Api) -> None:
    """What Traefik's and DMS's Helm charts and a kubelet would have made."""
    for namespace in ("traefik", "mail"):
        create_namespace(api, namespace)
    create_node(api, "node-1", ["192.0.2.11"], ["10.244.1.0/24", "fd00:244:1::/64"])
    create_traefik_service(api)
    create_proxy_pod(api, "traefik-a", ["10.244.1.5", "fd00:244:1::5"], "node-1")
    create_proxy_pod(api, "traefik-b", ["10.244.1.6", "fd00:244:1::6"], "node-1")
    create_mail_pod(api, "docker-mailserver-0", ["10.244.1.9"], "node-1", namespace="mail")


def show_objects(api: Api) -> None:
    """Print the MailProxy and its children."""
    _table(api, "MailProxy", wide=True)
    for kind in ("Service", "IngressRouteTCP", "ConfigMap", "NetworkPolicy"):
        _table(api, kind)
    print(f"\ntrusted networks: {_trusted(api)}")


def show_trust_change(api: Api) -> None:
    """Replace a proxy pod and measure how long the trusted networks take to follow."""
    print("\nNow a proxy pod is replaced: traefik-b (10.244.1.6) by traefik-c (10.244.1.7).")
    gone = _measure(
        lambda: delete_pod(api, "traefik-b"),
        lambda: "10.244.1.6" not in _trusted(api) and "fd00:244:1::6" not in _trusted(api),
    )
    print(f"traefik-b gone, no longer trusted after {gone:.1f} ms: {_trusted(api)}")
    come = _measure(
        lambda: create_proxy_pod(api, "traefik-c", ["10.244.1.7", "fd00:244:1::7"], "node-1"),
        lambda: "10.244.1.7" in _trusted(api),
    )
    print(f"traefik-c has an address, trusted after {come:.1f} ms: {_trusted(api)}")
    expected = ["10.244.1.5", "10.244.1.7", "fd00:244:1::5", "fd00:244:1::7"]
    assert _trusted(api).split() == expected, f"trusted is {_trusted(api)}, not {expected}"
    wait_for(lambda: _is_ready(api), WAIT_SECONDS, "the status to follow")
    _table(api, "MailProxy")


def _measure(action: Callable[[], object], holds: Callable[[], bool]) -> float:
    """Milliseconds from the API server's answer to `action` until `holds`; polled each ms."""
    action()
    started = time.perf_counter()
    deadline = started + WAIT_SECONDS
    while not holds():
        assert time.perf_counter() < deadline, "the trusted networks did not follow"
        time.sleep(POLL_SECONDS)
    return (time.perf_counter() - started) * 1000


def _trusted(api: Api) -> str:
    """Networks in the ConfigMap that the mail server mounts."""
    line = str(api.get("ConfigMap", "mail-trust", "mail")["data"]["dovecot-trust.conf"])
    return line.partition("=")[2].strip()


def _is_ready(api: Api) -> bool:
    """Whether the MailProxy is Ready, and its status shows the ConfigMap as it is."""
    status = api.get("MailProxy", "mail", "mail").get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return (
        conditions.get("Ready") == "True"
        and status["portsSummary"] == PORTS
        and status["trustedCount"] == len(_trusted(api).split())
    )


def _table(api: Api, kind: str, *, wide: bool = False) -> None:
    print(f"\n$ kubectl get {kind.lower()} -n mail{' -o wide' if wide else ''}")
    print(api.table(kind, "mail", wide=wide))


def _step(title: str, action: Callable[[], T]) -> T:
    print(f"... {title}", flush=True)
    started = time.monotonic()
    result = action()
    print(f"    {time.monotonic() - started:.1f} s", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
