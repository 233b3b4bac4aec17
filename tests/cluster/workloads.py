"""What runs in the cluster beside the operator, as manifests: an edge, a mail server, other pods.

They look like those of Traefik's Helm chart and of docker-mailserver's. Nothing here knows a route,
an override or a trusted address: these come from a MailProxy.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.cluster.images import TOOLS_IMAGE, TRAEFIK_IMAGE
from tests.controlplane.api import Manifest
from tests.controlplane.edge import ENTRY_POINTS, MAIL_LABELS, build_mounts

PROBE_SECONDS = 5
READINESS_PATH = "/ready"  # of Traefik
GRACE_SECONDS = 60
START_SECONDS = 120
NAME = "mailproxy.test/name"  # a label of every pod that `build_pod` makes
PROXY_LABELS = {"app.kubernetes.io/name": "traefik"}
PORT_NUMBERS = {name: entry_point.exposed_port for name, entry_point in ENTRY_POINTS.items()}
_UNPRIVILEGED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
_TRAEFIK_RULES = [
    {
        "apiGroups": [""],
        "resources": ["services", "secrets", "nodes", "configmaps", "namespaces"],
        "verbs": ["get", "list", "watch"],
    },
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["get", "list", "watch"],
    },
    {"apiGroups": ["traefik.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
]


def build_traefik(
    namespace: str,
    watched: Sequence[str],
    args: Sequence[str] = (),
    host_ports: bool = False,
    replicas: int = 1,
    drain_seconds: int = 0,
) -> list[Manifest]:
    """Traefik with one entryPoint for each mail service, and its LoadBalancer Service.

    Args:
        watched: Namespaces whose routes it serves.
        args: More of its arguments, such as `--entryPoints.mail-imap.proxyProtocol.trustedIPs=...`.
        host_ports: Offer the mail ports on the node's own addresses too.
        drain_seconds: How long a pod that ends accepts new connections, as kube-proxy learns of its
            end a second late, or more. Open ones have as long as the chart gives a pod to end.
    """
    if drain_seconds:
        drain = {"requestAcceptGraceTimeout": drain_seconds, "graceTimeOut": GRACE_SECONDS}
        args = [
            *args,
            *(
                f"--entryPoints.{point.name}.transport.lifeCycle.{name}={seconds}s"
                for point in ENTRY_POINTS.values()
                for name, seconds in drain.items()
            ),
        ]
    account = {"name": "traefik", "namespace": namespace}
    role = {"name": f"traefik-{namespace}"}
    pod = {
        "serviceAccountName": "traefik",
        "terminationGracePeriodSeconds": drain_seconds + (GRACE_SECONDS if drain_seconds else 2),
        "containers": [_build_traefik_container([*watched, namespace], args, host_ports)],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": role,
            "rules": _TRAEFIK_RULES,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": role,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"} | role,
            "subjects": [{"kind": "ServiceAccount"} | account],
        },
        _build_readiness_route(namespace),
        build_deployment(namespace, "traefik", PROXY_LABELS, pod, replicas),
        build_edge_service(namespace, "traefik", PROXY_LABELS),
    ]


def _build_readiness_route(namespace: str) -> Manifest:
    """A route that a pod of Traefik has as soon as it has the routes for mail.

    `/ping` is no sign of them: https://github.com/traefik/traefik/issues/10458. Traefik loads all
    routes of a provider at once. The chart has the same with `ingressRoute.healthcheck` and
    `deployment.readinessPath`.
    """
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "traefik-healthcheck", "namespace": namespace},
        "spec": {
            "entryPoints": ["traefik"],
            "routes": [
                {
                    "kind": "Rule",
                    "match": f"Path(`{READINESS_PATH}`)",
                    "services": [{"kind": "TraefikService", "name": "ping@internal"}],
                }
            ],
        },
    }


def _build_traefik_container(
    watched: Sequence[str], args: Sequence[str], host_ports: bool
) -> Manifest:
    points = ENTRY_POINTS.values()
    return {
        "name": "traefik",
        "image": TRAEFIK_IMAGE,
        "imagePullPolicy": "Never",
        "args": [
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
            "--entryPoints.traefik.address=:8080/tcp",
            "--ping=true",
            "--providers.kubernetescrd",
            f"--providers.kubernetescrd.namespaces={','.join(watched)}",
            *(point.argument for point in points),
            *args,
        ],
        "ports": [
            {"name": point.port_name, "containerPort": point.port}
            | ({"hostPort": point.exposed_port} if host_ports else {})
            for point in points
        ],
        "readinessProbe": {
            "httpGet": {"path": READINESS_PATH, "port": 8080},
            "initialDelaySeconds": 2,
            "periodSeconds": 1,
        },
        "securityContext": _UNPRIVILEGED,
    }


def build_edge_service(
    namespace: str, name: str, selector: Mapping[str, str], policy: str = "Local"
) -> Manifest:
    """What publishes the eight mail ports; `policy` is its `externalTrafficPolicy`."""
    ports = [
        {"name": point.port_name, "port": point.exposed_port, "targetPort": point.port_name}
        for point in ENTRY_POINTS.values()
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": policy,
            "ipFamilyPolicy": "PreferDualStack",
            "selector": dict(selector),
            "ports": ports,
        },
    }


def build_mail_server(
    namespace: str,
    image: str,
    overrides: Mapping[str, str],
    *,
    proxy: str = "mail",
    name: str = "",
    hostname: str = "mail.example.com",
    env: Mapping[str, str] | None = None,
    labels: Mapping[str, str] = MAIL_LABELS,
    kind: str = "Deployment",
    consents: bool = False,
    capabilities: Sequence[str] = (),
) -> list[Manifest]:
    """The mail server, with the files of a MailProxy mounted as README says, and its plain Service.

    Args:
        overrides: `data` of the ConfigMap `<proxy>-overrides`: each file is mounted.
        proxy: Name of the MailProxy.
        name: Its own; `<proxy>-server` without.
        env: docker-mailserver's settings, such as `PERMIT_DOCKER`.
        kind: Of its workload; or `StatefulSet`.
        consents: It mounts none of these files, and lets the operator do that.
        capabilities: More than a container has anyway, such as `NET_ADMIN`.
    """
    name = name or f"{proxy}-server"
    accounts = f"{name}-accounts"
    folder = "/tmp/docker-mailserver"
    mounts, volumes = ([], []) if consents else build_mounts(proxy, sorted(overrides))
    pod = {
        "terminationGracePeriodSeconds": 2,
        "containers": [
            {
                "name": "mail",
                "image": image,
                "imagePullPolicy": "Never",
                "env": _build_env({"OVERRIDE_HOSTNAME": hostname} | dict(env or {})),
                "securityContext": {"capabilities": {"add": list(capabilities)}},
                "ports": [{"name": n, "containerPort": p} for n, p in PORT_NUMBERS.items()],
                # Postfix may come last. Dovecot starts a process for each probe: not too often.
                "startupProbe": build_probe(587, 1, START_SECONDS),
                "readinessProbe": build_probe(143, PROBE_SECONDS),
                "volumeMounts": [
                    *mounts,
                    {
                        "name": "accounts",
                        "mountPath": f"{folder}/postfix-accounts.cf",
                        "subPath": "postfix-accounts.cf",
                    },
                ],
            }
        ],
        "volumes": [
            *volumes,
            {"name": "accounts", "configMap": {"name": accounts}},
        ],
    }
    workload = build_deployment(namespace, name, labels, pod)
    if kind == "StatefulSet":
        del workload["spec"]["strategy"]
        workload["kind"], workload["spec"]["serviceName"] = kind, name
    if consents:
        workload["metadata"]["annotations"] = {"mailproxy.dev/allow-wiring": "true"}
    return [
        build_config_map(namespace, accounts, {"postfix-accounts.cf": render_accounts()}),
        workload,
        build_service(namespace, name, labels, PORT_NUMBERS),
    ]


DOMAIN = "example.com"
PASSWORD = "correct-horse"


def find_mailbox(service: str) -> str:
    """The mailbox for tests of one mail service; its name and its password open it."""
    return f"{service}@{DOMAIN}"


def render_accounts() -> str:
    """docker-mailserver's list of mailboxes."""
    return "".join(f"{find_mailbox(name)}|{{PLAIN}}{PASSWORD}\n" for name in PORT_NUMBERS)


def build_pod(
    namespace: str,
    name: str,
    labels: Mapping[str, str] | None = None,
    *,
    ready: bool = True,
    command: Sequence[str] = ("sleep", "infinity"),
) -> Manifest:
    """A pod with a shell, Python, swaks and openssl; not `ready`: it never gets any traffic."""
    never: Manifest = {} if ready else {"readinessProbe": {"exec": {"command": ["false"]}}}
    container = {"name": "tools", "image": TOOLS_IMAGE, "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {NAME: name} | dict(labels or {}),
        },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [container | {"command": list(command)} | never],
        },
    }


def build_probe(port: int, seconds: int, failures: int = 3) -> Manifest:
    """A connection every so many seconds; so many may fail."""
    return {"tcpSocket": {"port": port}, "periodSeconds": seconds, "failureThreshold": failures}


def build_deployment(
    namespace: str, name: str, labels: Mapping[str, str], pod: Mapping[str, Any], replicas: int = 1
) -> Manifest:
    """Replicas of a pod, none more at any time."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": dict(labels)}, "spec": dict(pod)},
        },
    }


def build_service(
    namespace: str, name: str, selector: Mapping[str, str], ports: Mapping[str, int]
) -> Manifest:
    """A ClusterIP Service with all IP families of the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "ipFamilyPolicy": "PreferDualStack",
            "selector": dict(selector),
            "ports": [{"name": key, "port": port} for key, port in ports.items()],
        },
    }


def build_config_map(namespace: str, name: str, data: Mapping[str, str]) -> Manifest:
    """A ConfigMap of text files."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def _build_env(values: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in values.items()]
