"""Which of several MailProxies may have a mail server, an entryPoint or a port: the oldest.

Every reconcile of every MailProxy must come to the same answer, though each knows no edge but its
own. So it goes in two rounds. The first is about mail servers and needs the specs alone; whoever
loses it claims nothing more. The second is about one edge, among those that all know it.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from itertools import chain

from mailproxy.api.conditions import ConditionType
from mailproxy.api.edge import EdgeSpec
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.identity import ObjectKey
from mailproxy.observed.body import Labels, sorted_labels
from mailproxy.observed.mail_proxy import StoredProxy
from mailproxy.plan.edge.model import ANY_HOST, Claim, Edge, RoutedPort
from mailproxy.plan.edge.registry import find_adapter

EdgeId = tuple[str, str | None, Labels]
Owners = dict[tuple[str, str], dict[str, MailProxy]]  # of what is claimed, by host name


def edge_id(spec: EdgeSpec) -> EdgeId:
    """What makes two MailProxies speak of the same edge."""
    labels = spec.pod_selector.match_labels if spec.pod_selector else None
    return spec.namespace, spec.resolved_service_name, sorted_labels(labels)


def find_conflict(proxy: MailProxy, others: Iterable[MailProxy], edge: Edge) -> Finding | None:
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
    message = waiting.get(_key(proxy))
    if message is None:
        free = (rival for rival in rivals if _key(rival) not in waiting)
        message = _find_taken(proxy, free, edge)
    if message is None:
        return None
    return Finding(ConditionType.ACCEPTED, Reason.CONFLICT, f"{message}.")


def _key(proxy: MailProxy) -> ObjectKey:
    return ObjectKey(proxy.namespace, proxy.name)


def _age(proxy: MailProxy) -> tuple[str, str, str]:
    return proxy.metadata.creation_timestamp, proxy.namespace, proxy.name


def _find_same_pods(in_line: Iterable[MailProxy]) -> dict[ObjectKey, str]:
    """Those that select pods of an older one in their namespace, each with the reason."""
    waiting: dict[ObjectKey, str] = {}
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
    taken: Owners = defaultdict(dict)
    assigned: dict[Hashable, tuple[RoutedPort, ...]] = {}  # most ask for the same ports
    for rival in rivals:
        spec, adapter = rival.spec, find_adapter(rival.spec.edge.type)
        asked = (spec.edge.type, frozenset(spec.ports))
        if asked not in assigned:
            assigned[asked] = adapter.assign_ports(spec, edge)
        claims = adapter.find_claims(spec, assigned[asked])
        found = _first_taken(claims, taken)
        if rival is proxy:
            return found and _explain_taken(proxy, *found)
        if found is None:
            for claim in claims:
                taken[claim.kind, claim.name][claim.host] = rival
    return None


def _first_taken(claims: Iterable[Claim], taken: Owners) -> tuple[Claim, MailProxy] | None:
    for claim in claims:
        owners = taken[claim.kind, claim.name]
        any_owner = next(iter(owners.values()), None)
        owner = any_owner if claim.host == ANY_HOST else owners.get(claim.host)
        if owner := owner or owners.get(ANY_HOST):
            return claim, owner
    return None


def _explain_taken(proxy: MailProxy, claim: Claim, owner: MailProxy) -> str:
    namespace, name, _ = edge_id(proxy.spec.edge)
    return (
        f"{claim.kind} {claim.name} of the edge {namespace}/{name or '(pods by label)'} belongs to"
        f" the older MailProxy {owner.namespace}/{owner.name}; name another"
        " `spec.ports[].entryPoint`, remove the port, or, for implicit TLS, give both `sni:"
        " Hostname` and different host names"
    )


def find_neighbors(
    changed: Iterable[StoredProxy | None], all_proxies: Mapping[ObjectKey, StoredProxy]
) -> set[ObjectKey]:
    """MailProxies whose place may depend on the changed ones: of the same edge or namespace.

    `changed` are the states before and after, as both may stand in somebody's way. Neighbors of
    neighbors belong to them: who gives way to one makes room for another.
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
