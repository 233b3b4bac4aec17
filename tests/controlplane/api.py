"""A small client for tests, so that no test judges the operator by the operator's own client.

It knows nothing but the standard library, waits for every answer, retries nothing, and may be used
from several threads.
"""

import http.client
import json
import select
import ssl
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from tests.controlplane.table import render_table

Manifest = dict[str, Any]
Manifests = list[Manifest]
T = TypeVar("T")

ANSWER_SECONDS = 30.0
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Kind(NamedTuple):
    """Where the API server keeps the objects of one kind."""

    api_version: str
    plural: str
    namespaced: bool = True


KINDS = {
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "Node": Kind("v1", "nodes", namespaced=False),
    "Pod": Kind("v1", "pods"),
    "Service": Kind("v1", "services"),
    "ConfigMap": Kind("v1", "configmaps"),
    "Secret": Kind("v1", "secrets"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "Event": Kind("events.k8s.io/v1", "events"),
    "EndpointSlice": Kind("discovery.k8s.io/v1", "endpointslices"),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
    "Deployment": Kind("apps/v1", "deployments"),
    "StatefulSet": Kind("apps/v1", "statefulsets"),
    "ReplicaSet": Kind("apps/v1", "replicasets"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "Lease": Kind("coordination.k8s.io/v1", "leases"),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": Kind("rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False),
    "ClusterRoleBinding": Kind(
        "rbac.authorization.k8s.io/v1", "clusterrolebindings", namespaced=False
    ),
    "ValidatingAdmissionPolicy": Kind(
        "admissionregistration.k8s.io/v1", "validatingadmissionpolicies", namespaced=False
    ),
    "CustomResourceDefinition": Kind(
        "apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False
    ),
    "IngressRoute": Kind("traefik.io/v1alpha1", "ingressroutes"),
    "IngressRouteTCP": Kind("traefik.io/v1alpha1", "ingressroutetcps"),
    "ServersTransportTCP": Kind("traefik.io/v1alpha1", "serverstransporttcps"),
    "MailProxy": Kind("mailproxy.dev/v1alpha1", "mailproxies"),
}


class ApiStatus(Exception):  # noqa: N818 - the API's own name for it is Status
    """An answer of 400 or above."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason  # such as AlreadyExists; empty when the body is no Status
        self.message = message


class Api:
    """The API server that a kubeconfig names; see `tests.controlplane.kubeconfig` for its form."""

    def __init__(self, kubeconfig: Path, *, timeout: float = ANSWER_SECONDS) -> None:
        """Nothing is asked yet; `timeout` is how many seconds each answer may take."""
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._address = urlsplit(cluster["server"]).netloc
        self._token = config["users"][0]["user"]["token"]
        certificate = b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=certificate)
        self._timeout = timeout
        self._thread = threading.local()  # one connection each: http.client's cannot be shared

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """One object."""
        found: Manifest = self.request("GET", object_path(kind, name, namespace))
        return found

    def list(
        self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Manifests:
        """All objects of a kind, of all namespaces without `namespace`."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        items: Manifests = self.request("GET", list_path(kind, namespace), query=query)["items"]
        return items

    def create(self, manifest: Manifest) -> Manifest:
        """POST; an unknown field is an error."""
        path = list_path(manifest["kind"], _namespace(manifest))
        query = {"fieldValidation": "Strict"}
        created: Manifest = self.request("POST", path, manifest, query=query)
        return created

    def apply(
        self,
        manifest: Manifest,
        *,
        field_manager: str = "test",
        force: bool = True,
        subresource: str = "",
    ) -> Manifest:
        """Server-side apply."""
        name = manifest["metadata"]["name"]
        path = object_path(manifest["kind"], name, _namespace(manifest), subresource)
        query = {"fieldManager": field_manager, "force": str(force).lower()}
        applied: Manifest = self.request(
            "PATCH", path, manifest, query=query, content_type=APPLY_PATCH
        )
        return applied

    def merge_patch(
        self,
        kind: str,
        name: str,
        patch: Manifest,
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Manifest:
        """JSON merge patch: maps are merged, lists replaced, null deletes."""
        path = object_path(kind, name, namespace, subresource)
        patched: Manifest = self.request("PATCH", path, patch, content_type=MERGE_PATCH)
        return patched

    def patch_status(
        self, kind: str, name: str, status: Manifest, namespace: str | None = None
    ) -> Manifest:
        """Merge patch of the status subresource; `status` is what stands below `status:`."""
        return self.merge_patch(kind, name, {"status": status}, namespace, subresource="status")

    def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_seconds: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """DELETE, without waiting until the object is gone."""
        options = {"gracePeriodSeconds": grace_seconds, "propagationPolicy": propagation}
        self.request("DELETE", object_path(kind, name, namespace), options)

    def table(self, kind: str, namespace: str | None = None, *, wide: bool = False) -> str:
        """What `kubectl get` prints: the API server itself chooses the columns."""
        table = self.request("GET", list_path(kind, namespace), accept=TABLE)
        return render_table(table, wide=wide, namespaces=KINDS[kind].namespaced and not namespace)

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Any:  # a manifest from most paths; nothing is checked
        """Send any request; return the decoded JSON, or the text if the answer is no JSON.

        Raises:
            ApiStatus: The answer is 400 or above.
            OSError, http.client.HTTPException: No answer; the server may have acted or not.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        if given := {key: value for key, value in (query or {}).items() if value}:
            path = f"{path}?{urlencode(given)}"
        connection = self._connection()
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            received = answer.read()
        except BaseException:
            connection.close()
            raise
        return _decode(answer, received)

    def _connection(self) -> http.client.HTTPSConnection:
        """This thread's connection, or a new one if the server closed it."""
        connection: http.client.HTTPSConnection | None
        connection = getattr(self._thread, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection(
                self._address, timeout=self._timeout, context=self._tls
            )
            self._thread.connection = connection
        elif connection.sock and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # something to read before we asked: the end of the stream
        return connection


def _decode(answer: http.client.HTTPResponse, content: bytes) -> Any:
    is_json = answer.headers.get_content_type() == "application/json"
    decoded = json.loads(content) if is_json else content.decode(errors="replace")
    if answer.status < 400:
        return decoded
    if isinstance(decoded, dict):
        raise ApiStatus(answer.status, decoded.get("reason", ""), decoded.get("message", ""))
    raise ApiStatus(answer.status, "", str(decoded).strip())  # `404 page not found`: no such kind


def _namespace(manifest: Manifest) -> str | None:
    namespace: str | None = manifest["metadata"].get("namespace")
    return namespace


def list_path(kind: str, namespace: str | None = None) -> str:
    """URL path of a kind's collection, e.g. `/api/v1/namespaces/mail/pods`."""
    api_version, plural, namespaced = KINDS[kind]
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    inside = f"/namespaces/{quote(namespace)}" if namespaced and namespace else ""
    return f"{root}{inside}/{plural}"


def object_path(
    kind: str, name: str, namespace: str | None = None, subresource: str | None = None
) -> str:
    """URL path of one object, or of its subresource.

    Raises:
        ValueError: The kind is namespaced and `namespace` is missing.
    """
    if KINDS[kind].namespaced and not namespace:
        raise ValueError(f"{kind} {name!r}: which namespace?")
    path = f"{list_path(kind, namespace)}/{quote(name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


def wait_for(
    predicate: Callable[[], T],
    timeout: float = 10.0,
    describe: str | Callable[[], object] = "",
    *,
    interval: float = 0.03,
) -> T:
    """Ask until the answer is true (in Python's sense) and return it.

    An `ApiStatus` or a lost connection counts as "not yet": a test may wait for what is not there.

    Args:
        timeout: Seconds.
        describe: What is awaited, for the error; or a function that says what there is instead.
        interval: Seconds between two questions.

    Raises:
        AssertionError: Not within `timeout`. The message holds the last answer or exception.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            if value := predicate():
                return value
            last = value
        except (ApiStatus, OSError, http.client.HTTPException) as error:
            last = error
        if time.monotonic() > deadline:
            break
        time.sleep(interval)
    awaited = describe if isinstance(describe, str) else ""
    seen = describe() if callable(describe) else last
    raise AssertionError(f"not within {timeout:g} s: {awaited or predicate}; last seen: {seen!r}")
