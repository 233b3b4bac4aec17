"""Which proxy pods to connect to, and on which port."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailproxy.api.mail_services import MAIL_SERVICES
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.spec import Switch
from mailproxy.observed.addresses import Address
from mailproxy.observed.world import World
from mailproxy.plan.edge.registry import find_adapter
from mailproxy.plan.model import Plan

# Services of Dovecot that greet in plain text. Postfix greets anybody, whatever the header.
GREETING_SERVICES = tuple(
    service.name for service in MAIL_SERVICES if not (service.is_postfix or service.implicit_tls)
)


@dataclass(frozen=True)
class Target:
    """One proxy pod: all its addresses, and the port of an entryPoint that should greet."""

    addresses: tuple[Address, ...]
    port: int


def find_targets(proxy: MailProxy, world: World, plan: Plan) -> Mapping[Address, Target]:
    """Proxy pods to connect to, by their first address; none while no answer is to be expected."""
    spec, adapter = proxy.spec, find_adapter(proxy.spec.edge.type)
    is_expected = plan.conflict is None and world.has_ready_endpoints
    if spec.probe != Switch.ENABLED or not is_expected:
        return {}
    routed = {
        port.service.name: port.entry_point
        for port in plan.ports
        if adapter.find_route(proxy, port.service) in world.children
    }
    names = [routed[name] for name in GREETING_SERVICES if name in routed]
    found: dict[Address, Target] = {}
    for pod in plan.edge.pods:
        port = adapter.find_probe_port(pod, names)
        if port is not None and pod.addresses:
            found[pod.addresses[0]] = Target(pod.addresses, port)
    return found
