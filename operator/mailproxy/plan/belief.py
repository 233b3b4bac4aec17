"""Whether the mail server believes a proxy pod: where to look, how often, and when to say so.

Only the mail server knows whom it believes. A connection through the proxy pod's own address tells:
Dovecot greets it if it believes that pod's PROXY header, and closes it otherwise.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from mailproxy.api.edge import EdgeType
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.spec import PortName, Switch
from mailproxy.plan.addresses import Address
from mailproxy.plan.edge import find_entry_points
from mailproxy.plan.manifests import route_name
from mailproxy.plan.observed import Container, Pod
from mailproxy.plan.plan import Plan, World

# Services of Dovecot that greet in plain text. Postfix would greet anybody.
GREETING_SERVICES = (PortName.IMAP, PortName.SIEVE, PortName.POP3)

# So long a pod has to be refused before that is said: an edge that is rolled out is no news, and a
# mail server that is merely busy has greeted before.
GRACE_SECONDS, BELIEVED_GRACE_SECONDS = 2.0, 10.0
FAST_SECONDS = 10.0
FAST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
BELIEVED_PAUSE = 300.0
SHORTEST_PATIENCE, LONGEST_PATIENCE = 1.0, 5.0

_PROXY_PROTOCOL = re.compile(
    r"(--?entrypoints\.(?P<flag>[a-z0-9_-]{1,255})\.proxyprotocol\b.*"
    r"|TRAEFIK_ENTRYPOINTS_(?P<variable>[a-z0-9-]{1,255})_PROXYPROTOCOL(_.*)?)",
    re.IGNORECASE | re.DOTALL,
)


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
    entry_points, silent = find_entry_points(pod.containers), set(_find_silent(pod))
    return next((entry_points[n] for n in names if n in entry_points and n not in silent), None)


def _find_silent(pod: Pod) -> Iterator[str]:
    """EntryPoints that wait for a PROXY header themselves, so that nobody else is greeted."""
    for text in _settings(pod.containers):
        if match := _PROXY_PROTOCOL.fullmatch(text):
            yield match["flag"] or match["variable"].lower()


def _settings(containers: Iterable[Container]) -> Iterator[str]:
    for container in containers:
        yield from container.arguments
        yield from (name for name, _ in container.environment)


@dataclass(frozen=True)
class Belief:
    """What is said of one proxy pod (`believed`, None: not known) and what would change it.

    `began` is when it appeared, when the list last changed, or when an answer last surprised:
    from then on it is looked at often. Answers that say otherwise than `believed` since `since`
    have to go on for a while. Times are seconds of any one clock.
    """

    began: float
    believed: bool | None = None
    doubt: bool | None = None
    since: float | None = None

    def take(self, answer: bool | None, now: float) -> "Belief":
        """Take note of a try: it was believed, or not, or (None) it tells nothing."""
        if answer or answer == self.believed:
            return replace(self, believed=answer, doubt=None, since=None)
        if self.since is None or answer != self.doubt:
            began = now if self.since is None and self.believed is not None else self.began
            return replace(self, began=began, doubt=answer, since=now)
        if now - self.since < (BELIEVED_GRACE_SECONDS if self.believed else GRACE_SECONDS):
            return self
        return replace(self, believed=answer, doubt=None, since=None)

    def restart(self, now: float) -> "Belief":
        """The list has changed: look often again."""
        return replace(self, began=now)

    def pause(self, now: float) -> float:
        """Seconds until the next try."""
        if self.believed and self.since is None:
            return BELIEVED_PAUSE
        age = now - self.began
        return FAST_PAUSE if age < FAST_SECONDS else min(age / FAST_SECONDS, LONGEST_PAUSE)

    def patience(self, now: float) -> float:
        """Seconds to wait for a greeting: Traefik without its routes accepts and stays silent."""
        return min(max((now - self.began) / 2, SHORTEST_PATIENCE), LONGEST_PATIENCE)
