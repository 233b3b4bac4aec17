"""Which of several MailProxies may have a mail server, an entryPoint or a port: the oldest.

Every reconcile of every MailProxy must come to the same answer, though each knows no edge but its
own. So it goes in two rounds. The first is about mail servers and needs the specs alone; whoever
loses it claims nothing more. The second is about one edge, among those that all know it.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from itertools import chain

from mailproxy.api.edge import EdgeSpec, EdgeType
from mailproxy.api.mail_services import MAIL_SERVICES, PortName
from mailproxy.api.mailproxy import MailProxy
from mailproxy.object_key import ObjectKey
from mailproxy.observed.body import Labels, sorted_labels
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.plan.edge.facts import Edge
from mailproxy.plan.edge.ports import route_ports

EdgeId = tuple[str, str | None, Labels]
Claim = tuple[str, str]  # `port` or `entryPoint`, and which one
Key = tuple[str, str]
ANY_HOST = "*"


def edge_id(spec: EdgeSpec) -> EdgeId:
    """What makes two MailProxies speak of the same edge."""
    labels = spec.pod_selector.match_labels if spec.pod_selector else None
    return spec.namespace, spec.resolved_service_name, sorted_labels(labels)


def find_conflict(proxy: MailProxy, others: Iterable[MailProxy], edge: Edge) -> str | None:
    """Why `proxy` must wait for an older MailProxy; None when nothing stands in its way.

    Age decides, then namespace and name. A MailProxy that waits for an entryPoint claims no
    other entryPoint, but keeps its place before younger ones at its mail server.
    """
    mine = edge_id(proxy.spec.edge)
    everybody = {_key(other): other for other in others} | {_key(proxy): proxy}
    in_line = sorted(everybody.values(), key=_age)
    rivals = [other for other in in_line if edge_id(other.spec.edge) == mine]
    namespaces = {rival.namespace for rival in rivals}
    waiting = _find_same_pods(other for other in in_line if other.namespace in namespaces)
    if _key(proxy) in waiting:
        return waiting[_key(proxy)]
    return _find_taken(proxy, (rival for rival in rivals if _key(rival) not in waiting), edge)


def _key(proxy: MailProxy) -> Key:
    return proxy.namespace, proxy.name


def _age(proxy: MailProxy) -> tuple[str, str, str]:
    return proxy.metadata.creation_timestamp, proxy.namespace, proxy.name


def _find_same_pods(in_line: Iterable[MailProxy]) -> dict[Key, str]:
    """Those that select pods of an older one in their namespace, each with the reason."""
    waiting: dict[Key, str] = {}
    # Selectors of which one contains the other share a label, so only those are compared.
    owners: dict[tuple[str, str, str], list[MailProxy]] = defaultdict(list)
    for proxy in in_line:
        mine = proxy.spec.mail_server.pod_selector.match_labels.items()
        places = [(proxy.metadata.namespace, *label) for label in sorted(mine)]
        for other in chain.from_iterable(owners.get(place, ()) for place in places):
            theirs = other.spec.mail_server.pod_selector.match_labels.items()
            if mine <= theirs or theirs <= mine:
                waiting[_key(proxy)] = (
                    "`spec.mailServer.podSelector` selects pods of the older MailProxy"
                    f" {other.namespace}/{other.name}, and a mail server can follow only one:"
                    " select others, or delete one of the two"
                )
                break
        else:
            for place in places:
                owners[place].append(proxy)
    return waiting


def _find_taken(proxy: MailProxy, rivals: Iterable[MailProxy], edge: Edge) -> str | None:
    """Why an older one of `rivals`, which stand in line at one edge, is in the way of `proxy`."""
    if proxy.spec.edge.type != EdgeType.TRAEFIK:
        return None
    taken: dict[Claim, dict[str, MailProxy]] = defaultdict(dict)
    routed: dict[Hashable, dict[PortName, str]] = {}  # most ask for the same ports
    for rival in rivals:
        if rival.spec.edge.type != EdgeType.TRAEFIK:
            continue
        asked = frozenset((port.name, port.entry_point) for port in rival.spec.ports)
        if asked not in routed:
            ports = route_ports(rival.spec, edge)
            routed[asked] = {port.service.name: port.entry_point for port in ports}
        claims = _claims(rival, routed[asked])
        found = _first_taken(claims, taken)
        if rival is proxy:
            return found and _explain_taken(proxy, *found)
        if found is None:
            for claim, host in claims.items():
                taken[claim][host] = rival
    return None


def _claims(proxy: MailProxy, names: dict[PortName, str]) -> dict[Claim, str]:
    """What the MailProxy wants for itself, and for which host name; `names` are entryPoints."""
    spec = proxy.spec
    claims: dict[Claim, str] = {}
    for port in spec.ports_by_name.values():
        host = spec.hostname if port.by_hostname else ANY_HOST
        claims["entryPoint", names[port.name]] = host
        if not port.entry_point:
            claims["port", port.name] = host
    return claims


def _first_taken(
    claims: dict[Claim, str], taken: dict[Claim, dict[str, MailProxy]]
) -> tuple[Claim, MailProxy] | None:
    for claim, host in claims.items():
        owners = taken[claim]
        owner = next(iter(owners.values()), None) if host == ANY_HOST else owners.get(host)
        if owner := owner or owners.get(ANY_HOST):
            return claim, owner
    return None


def _explain_taken(proxy: MailProxy, claim: Claim, owner: MailProxy) -> str:
    what, which = claim
    if what == "port":
        which = str(next(service.port for service in MAIL_SERVICES if service.name == which))
    namespace, name, _ = edge_id(proxy.spec.edge)
    return (
        f"{what} {which} of the edge {namespace}/{name or '(pods by label)'} belongs to the older"
        f" MailProxy {owner.namespace}/{owner.name}; name another `spec.ports[].entryPoint`,"
        " remove the port, or, for implicit TLS, give both `sni: Hostname` and different host"
        " names"
    )


def find_neighbours(
    changed: Iterable[StoredProxy | None], all_proxies: Mapping[ObjectKey, StoredProxy]
) -> set[ObjectKey]:
    """MailProxies whose place may depend on the changed ones: of the same edge or namespace.

    `changed` are the states before and after, as both may stand in somebody's way. Neighbours of
    neighbours belong to them: who gives way to one makes room for another.
    """
    found: set[ObjectKey] = set()
    fresh = [stored.proxy for stored in changed if stored is not None and stored.proxy]
    while fresh:
        edges = {edge_id(proxy.spec.edge) for proxy in fresh}
        namespaces = {proxy.namespace for proxy in fresh}
        fresh = []
        for key, stored in all_proxies.items():
            if stored.proxy is None or key in found:
                continue
            if key.namespace in namespaces or edge_id(stored.proxy.spec.edge) in edges:
                found.add(key)
                fresh.append(stored.proxy)
    return found
