"""The PROXY Service."""

from collections.abc import Iterable

from mailproxy.api.mail_services import MailService
from mailproxy.api.mailproxy import MailProxy
from mailproxy.observed.kinds import SERVICES
from mailproxy.plan.metadata import Manifest, build_child, service_name


def build_service(proxy: MailProxy, services: Iterable[MailService]) -> Manifest:
    """ClusterIP Service with the PROXY ports and nothing else.

    `type` and `externalIPs` are sent so that they are ours: what others add to fields that we do
    not send would survive, and these two would open the PROXY ports to the outside.
    """
    ports = [
        {
            "name": service.service_port,
            "protocol": "TCP",
            "port": service.target_port(proxy.spec.listeners),
            "targetPort": service.target_port(proxy.spec.listeners),
        }
        for service in services
    ]
    spec = {
        "type": "ClusterIP",
        "externalIPs": [],
        "selector": dict(sorted(proxy.spec.mail_server.pod_selector.match_labels.items())),
        "ports": ports,
    }
    return build_child(proxy, SERVICES, service_name(proxy), spec=spec)
