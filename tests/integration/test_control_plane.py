"""The test rig itself: what the other integration tests stand on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane import edge
from tests.controlplane.api import Api, ApiStatus, wait_for
from tests.controlplane.binaries import Binaries
from tests.controlplane.server import ControlPlane

REPOSITORY = Path(__file__).resolve().parents[2]
OWNER = """
import json, sys
from pathlib import Path
from tests.controlplane.server import ControlPlane
with ControlPlane(Path(sys.argv[1]), controller_manager=False) as running:
    print(json.dumps(running.pids), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def node(api: Api, namespace: str) -> str:
    """Name of a node of this test alone."""
    edge.create_node(api, namespace, ["192.0.2.1"], ["10.244.1.0/24"])
    return namespace


def test_server_says_the_version_of_its_binary(api: Api, binaries: Binaries) -> None:
    program = binaries.path("kube-apiserver")
    printed = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    assert f"Kubernetes {api.request('GET', '/version')['gitVersion']}" == printed.strip()


def test_ready_pod_is_an_endpoint_on_its_named_port(api: Api, namespace: str, node: str) -> None:
    chosen = ["submission", "submissions"]
    edge.create_traefik_service(api, namespace=namespace, services=chosen)
    edge.create_proxy_pod(api, "proxy", ["10.244.1.2"], node, namespace=namespace, services=chosen)
    ports = wait_for(lambda: ready_endpoints(api, namespace).get("10.244.1.2"), 30)
    assert ports == {"mail-submission": 2587, "submissions": 2465}


def test_deleted_pod_is_no_endpoint(api: Api, namespace: str, node: str) -> None:
    edge.create_traefik_service(api, namespace=namespace)
    for name, ip in [("old", "10.244.1.2"), ("new", "10.244.1.3")]:
        edge.create_proxy_pod(api, name, [ip], node, namespace=namespace)
    wait_for(lambda: len(ready_endpoints(api, namespace)) == 2, 30)
    edge.delete_pod(api, "old", namespace)
    wait_for(lambda: set(ready_endpoints(api, namespace)) == {"10.244.1.3"}, 30)


def test_restart_keeps_address_and_data(control_plane: ControlPlane, api: Api, namespace: str):
    before = control_plane.url
    control_plane.restart_apiserver(kill=True)
    assert control_plane.url == before
    assert api.get("Namespace", namespace)["metadata"]["name"] == namespace


def test_service_account_may_do_only_what_it_is_given(
    control_plane: ControlPlane, namespace: str
) -> None:
    account = Api(control_plane.service_account_kubeconfig(namespace, "default"))
    with pytest.raises(ApiStatus) as refused:
        account.list("Pod", namespace)
    assert refused.value.reason == "Forbidden"


def test_table_reads_like_kubectl(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    edge.create_traefik_service(api, namespace=namespace)
    printed = control_plane.run_kubectl("get", "services", "-n", namespace, "-o", "wide").stdout
    table = api.table("Service", namespace, wide=True)
    assert [line.split() for line in table.splitlines()] == [
        line.split() for line in printed.splitlines()
    ]


def test_nothing_runs_after_stop(binaries: Binaries, tmp_path: Path) -> None:
    with ControlPlane(tmp_path, binaries=binaries, controller_manager=False) as running:
        pids = running.pids
        assert all(map(is_running, pids))
    assert not any(map(is_running, pids))


@pytest.mark.usefixtures("binaries")
def test_nothing_runs_after_its_owner_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout
        pids = json.loads(owner.stdout.readline())
        assert all(map(is_running, pids))
        owner.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(map(is_running, pids)), 10, "the servers are gone")


def ready_endpoints(api: Api, namespace: str) -> dict[str, dict[str, int]]:
    """Ports by name, by address, of what the EndpointSlices call ready."""
    return {
        address: {port["name"]: port["port"] for port in piece["ports"]}
        for piece in api.list("EndpointSlice", namespace)
        for endpoint in piece["endpoints"] or []
        if endpoint["conditions"]["ready"]
        for address in endpoint["addresses"]
    }


def is_running(pid: int) -> bool:
    """Whether a process works; one that has ended and waits for init to notice does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # macOS has no /proc; on Linux the process has just gone
        return sys.platform != "linux"
    return state != "Z"
