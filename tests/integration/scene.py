"""What a test works with: an edge and a mail server in namespaces of their own, and MailProxies."""

import secrets
from collections.abc import Sequence
from typing import Any

from tests.controlplane.api import Api, ApiStatus, Manifest, list_path, wait_for
from tests.controlplane.conditions import find_condition
from tests.controlplane.edge import (
    ALL_SERVICES,
    create_mail_pod,
    create_namespace,
    create_node,
    create_proxy_pod,
    create_traefik_service,
    delete_namespace,
    delete_pod,
)

NODE = "node-1"
SETTLE_SECONDS = 20.0


class Scene:
    """Two namespaces, `edge` and `mail`; everything is named within them."""

    def __init__(self, api: Api) -> None:
        self.api = api
        suffix = secrets.token_hex(4)
        self.edge, self.mail = f"edge-{suffix}", f"mail-{suffix}"
        for namespace in (self.edge, self.mail):
            create_namespace(api, namespace)
        ensure_node(api, NODE)

    def tear_down(self) -> None:
        """Ask for the end of both namespaces; MailProxies first, so that nothing follows a pod."""
        self.api.request("DELETE", list_path("MailProxy", self.mail))
        for namespace in (self.edge, self.mail):
            delete_namespace(self.api, namespace)

    def add_edge(self, *ips: str, services: Sequence[str] = ALL_SERVICES) -> None:
        """Traefik's Service, and a ready proxy pod for each address: `traefik-0`, `traefik-1`..."""
        create_traefik_service(self.api, namespace=self.edge, services=services)
        for number, ip in enumerate(ips):
            self.add_proxy_pod(f"traefik-{number}", ip, services=services)

    def add_proxy_pod(self, name: str, *ips: str, **options: Any) -> None:
        """One more pod of the edge."""
        create_proxy_pod(self.api, name, ips, NODE, namespace=self.edge, **options)

    def remove_proxy_pod(self, name: str) -> None:
        """Delete a pod of the edge."""
        delete_pod(self.api, name, self.edge)

    def add_mail_server(self, name: str = "dms-0", ip: str = "10.9.9.9") -> None:
        """A ready pod of docker-mailserver."""
        create_mail_pod(self.api, name, [ip], NODE, namespace=self.mail)

    def apply(self, name: str = "mail", **spec: Any) -> Manifest:
        """Apply a MailProxy for this edge, as its user would; `spec` adds to the minimum."""
        edge = {"namespace": self.edge} | spec.pop("edge", {})
        minimum = {
            "hostname": "mail.example.com",
            "edge": edge,
            "probe": "Disabled",  # these addresses may belong to other machines
            "mailServer": {
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "docker-mailserver"}}
            },
        }
        return self.api.apply(
            {
                "apiVersion": "mailproxy.dev/v1alpha1",
                "kind": "MailProxy",
                "metadata": {"name": name, "namespace": self.mail},
                "spec": minimum | spec,
            },
            field_manager="user",
        )

    def add_all(self, **spec: Any) -> None:
        """An edge with two proxy pods, a mail server and a MailProxy that becomes Ready."""
        self.add_edge("10.1.0.1", "10.1.0.2")
        self.add_mail_server()
        self.apply(**spec)
        self.wait_for_condition("Ready", "True")

    def proxy(self, name: str = "mail") -> Manifest:
        """The MailProxy as it is now."""
        return self.api.get("MailProxy", name, self.mail)

    def status(self, name: str = "mail") -> Manifest:
        """Its status; empty before the first."""
        found: Manifest = self.proxy(name).get("status", {})
        return found

    def condition(self, type_: str, name: str = "mail") -> Manifest:
        """One condition, only if it speaks of the present spec; else empty."""
        return find_condition(self.proxy(name), type_)

    def wait_for_condition(
        self, type_: str, status: str, reason: str = "", name: str = "mail"
    ) -> Manifest:
        """Wait until a condition has this status (and reason); returns it."""

        def holds() -> Manifest | None:
            found = self.condition(type_, name)
            is_it = found.get("status") == status and found["reason"] == (reason or found["reason"])
            return found if is_it else None

        found = wait_for(holds, SETTLE_SECONDS, lambda: self.status(name).get("conditions"))
        assert found
        return found

    def trusted(self, name: str = "mail") -> list[str]:
        """Networks in the ConfigMap that the mail server mounts."""
        return self.trust_settings(name)["haproxy_trusted_networks"]

    def trust_settings(self, name: str = "mail") -> dict[str, list[str]]:
        """Lists in the file that Dovecot is given, by its names for them."""
        data = self.api.get("ConfigMap", f"{name}-trust", self.mail)["data"]
        settings = (line.partition("=") for line in data["dovecot-trust.conf"].splitlines())
        return {key.strip(): value.split() for key, _, value in settings}

    def wait_for_trust(self, *addresses: str, name: str = "mail") -> None:
        """Wait until exactly these are trusted."""
        expected = sorted(addresses)
        wait_for(
            lambda: sorted(self.trusted(name)) == expected,
            SETTLE_SECONDS,
            lambda: f"{self.trusted(name)} instead of {expected}",
        )

    def children(self) -> dict[tuple[str, str], Manifest]:
        """All that carries our label in the mail namespace, by kind and name."""
        labels = "app.kubernetes.io/managed-by=mailproxy-operator"
        found: dict[tuple[str, str], Manifest] = {}
        for kind in CHILD_KINDS:
            try:
                items = self.api.list(kind, self.mail, labels=labels)
            except ApiStatus as error:
                if error.code != 404:
                    raise
                continue
            found.update({(kind, item["metadata"]["name"]): item for item in items})
        return found

    def versions(self) -> dict[tuple[str, str], str]:
        """The resourceVersion of each child."""
        return {key: item["metadata"]["resourceVersion"] for key, item in self.children().items()}


CHILD_KINDS = ("ConfigMap", "IngressRouteTCP", "NetworkPolicy", "ServersTransportTCP", "Service")


def ensure_node(api: Api, name: str) -> None:
    """A node of the session, shared by all scenes."""
    try:
        create_node(api, name, ["192.0.2.11", "2001:db8::11"], ["10.244.1.0/24", "fd00:1::/64"])
    except ApiStatus as error:
        if error.reason != "AlreadyExists":
            raise
