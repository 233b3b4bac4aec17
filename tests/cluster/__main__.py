"""`make cluster` and `make cluster-down`: a whole mail server behind an edge, left running."""

import argparse
import sys
import time

from tests.cluster.cluster import Cluster
from tests.cluster.operator import install_operator
from tests.cluster.programs import KUBERNETES
from tests.cluster.scene import Scene
from tests.cluster.workloads import PASSWORD, find_mailbox
from tests.controlplane.gomod import ToolError
from tests.controlplane.progress import announce

NUMBER = 1  # the tests use others


def main() -> int:
    """Bring the cluster up, or take it down."""
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("action", choices=["up", "down"])
    parser.add_argument("--dovecot", choices=["2.3", "2.4"], default="2.3")
    parser.add_argument("--listeners", choices=["Separate", "Shared"], default="Separate")
    options = parser.parse_args()
    cluster = Cluster(NUMBER)
    try:
        if options.action == "down":
            cluster.stop()
            print("The cluster is gone, and nothing of it is left.")
        else:
            bring_up(cluster, options.dovecot, options.listeners)
    except (ToolError, RuntimeError, AssertionError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


def bring_up(cluster: Cluster, dovecot: str, listeners: str) -> None:
    """Start everything, saying how long it took, and tell what to try."""
    started = time.monotonic()

    def tell(what: str) -> None:
        announce(f"{time.monotonic() - started:5.1f} s  {what}")

    cluster.start(detached=True)
    tell("the node is Ready, Traefik's CRDs are installed")
    install_operator(cluster)
    tell("the operator is ready: kubectl apply -k manifests/default")
    scene = Scene(cluster, "demo", index=1, dovecot=dovecot, listeners=listeners, env={})
    scene.create()
    tell(f"Traefik, a mail server with Dovecot {dovecot} and a MailProxy that is Ready")
    print(describe(scene))


def describe(scene: Scene) -> str:
    """What is there, and what to try."""
    address, address6 = scene.addresses
    user = find_mailbox("imap")
    own = scene.cluster.addresses.host[0]
    status = scene.cluster.run_kubectl("get", "mailproxy", f"--namespace={scene.mail}")
    return f"""
{status.stdout}
The mail server listens at {address} and {address6}; there is a mailbox {user} ({PASSWORD}).

  export KUBECONFIG={scene.cluster.kubeconfig} PATH=$PATH:{KUBERNETES.folder}
  kubectl get pods,services,mailproxies -A
  swaks --server {address} --helo example.org --to {user} --from you@example.org --tls
  swaks --server {address}:465 --tls-on-connect --auth-user {user} --auth-password {PASSWORD} \\
    --helo example.org --from {user} --to {user}
  kubectl logs --namespace={scene.mail} deployment/mail-server | grep {own}
  kubectl delete pod --namespace={scene.edge} --selector=app.kubernetes.io/name=traefik
  kubectl get mailproxy --namespace={scene.mail} --output=wide --watch

make cluster-down removes it."""


if __name__ == "__main__":
    sys.exit(main())
