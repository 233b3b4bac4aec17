"""The mail services by name and by program, and the ports on which they expect a header."""

from mailproxy.api.mail_services import MAIL_SERVICES, Listeners, MailService
from tests.cluster.scene import Scene

SERVICES = {service.name: service for service in MAIL_SERVICES}
POSTFIX = [service for service in MAIL_SERVICES if service.is_postfix]
DOVECOT = [service for service in MAIL_SERVICES if not service.is_postfix]


def proxy_port(service: MailService, scene: Scene) -> int:
    """Port of the mail server that expects a header."""
    return service.target_port(Listeners(scene.listeners))


def proxy_ports(scene: Scene) -> list[int]:
    """The same for all services, in the order of the table."""
    return [proxy_port(service, scene) for service in MAIL_SERVICES]
