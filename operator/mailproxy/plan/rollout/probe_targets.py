"""Which proxy pods to connect to, and on which port."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailproxy.api.edge import EdgeType
from mailproxy.api.mail_services import PortName
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.spec import Switch
from mailproxy.observed.addresses import Address
from mailproxy.observed.pod import Pod
from mailproxy.observed.world import World
from mailproxy.plan.edge.traefik.static_config import find_entry_points, find_silent
from mailproxy.plan.metadata import route_name
from mailproxy.plan.model import Plan

# Services of Dovecot that greet in plain text. Postfix would greet anybody.
GREETING_SERVICES = (PortName.IMAP, PortName.SIEVE, PortName.POP3)


@dataclass(frozen=True)
class Target:
    """One proxy pod: all its addresses, and the port of an entryPoint that should greet."""

    addresses: tuple[Address, ...]
    port: int


def find_targets(proxy: MailProxy, world: World, plan: Plan) -> Mapping[Address, Target]:
    """Proxy pods to connect to, by their first address; none while no answer is to be expected."""
    spec = proxy.spec
    is_expected = spec.edge.type == EdgeType.TRAEFIK and plan.conflict is None
    if spec.probe != Switch.ENABLED or not is_expected or not world.has_ready_endpoints:
        return {}
    routed = {
        port.service.name: port.entry_point
        for port in plan.ports
        if ("IngressRouteTCP", route_name(proxy, port.service)) in world.children
    }
    names = [routed[name] for name in GREETING_SERVICES if name in routed]
    found: dict[Address, Target] = {}
    for pod in plan.edge.pods:
        port = _find_port(pod, names)
        if port is not None and pod.addresses:
            found[pod.addresses[0]] = Target(pod.addresses, port)
    return found


def _find_port(pod: Pod, names: Iterable[str]) -> int | None:
    """Port of the first of these entryPoints that the pod has and that greets whoever comes.

    Pods of an edge that is rolled out may differ in them.
    """
    entry_points, silent = find_entry_points(pod.containers), set(find_silent(pod))
    return next((entry_points[n] for n in names if n in entry_points and n not in silent), None)
