"""Conditions: what is judged, why, and what the user can do about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailproxy.api.edge import EdgeSpec, EdgeType
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.spec import MailProxySpec, TrustSource
from mailproxy.api.status import MAX_TRUSTED_NETWORKS, ConditionStatus, ConditionType, Reason
from mailproxy.plan.clients import Clients
from mailproxy.plan.diagnose_mail_server import is_about_workload, judge_mail_server
from mailproxy.plan.edge import BROKEN_VERSION, Edge, RoutedPort
from mailproxy.plan.manifests import service_name, trust_name
from mailproxy.plan.observed import Labels
from mailproxy.plan.plan import Plan, Problem, World
from mailproxy.plan.trust import Trust

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True)
class Finding:
    """One condition without its times."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str


def find_conditions(
    proxy: MailProxy, world: World, plan: Plan, problems: Sequence[Problem]
) -> list[Finding]:
    """All conditions in the order of the data path; `problems` are those of plan and apply."""
    findings = [
        _judge_accepted(world, plan),
        _judge_edge(proxy.spec.edge, plan.edge),
        _judge_entry_points(proxy.spec, plan),
        _judge_routes(proxy, world, plan, problems),
        _judge_trust(proxy, plan, problems),
        Finding(ConditionType.MAIL_SERVER_READY, *judge_mail_server(proxy, world, plan, problems)),
    ]
    return [*findings, summarize(findings)]


def summarize(findings: Sequence[Finding]) -> Finding:
    """`Ready`: the first finding that fails or whose turn has not come.

    What can never be known, such as entryPoints in a file, does not fail it.
    """
    for finding in sorted(findings, key=lambda finding: finding.status != _FALSE):
        if finding.status == _FALSE or finding.reason == Reason.PENDING:
            return Finding(ConditionType.READY, finding.status, finding.reason, finding.message)
    message = (
        "Mail can flow: edge, entryPoints, routes, trust and mail server are as they should be."
    )
    return Finding(ConditionType.READY, _TRUE, Reason.READY, message)


def _judge_accepted(world: World, plan: Plan) -> Finding:
    if plan.conflict is not None:
        return Finding(ConditionType.ACCEPTED, _FALSE, Reason.CONFLICT, f"{plan.conflict}.")
    for problem in filter(_is_about_user_files, plan.problems):
        _, name = problem.child
        effect = (
            f"Until then ConfigMap {name} stays as it is."
            if problem.child in world.children
            else f"ConfigMap {name} is made then; a mail server that mounts it waits for it."
        )
        message = f"{problem.message}. {effect}"
        return Finding(ConditionType.ACCEPTED, _FALSE, problem.reason, message)
    message = "The spec makes sense and no older MailProxy stands in its way."
    return Finding(ConditionType.ACCEPTED, _TRUE, Reason.ACCEPTED, message)


def _is_about_user_files(problem: Problem) -> bool:
    return problem.reason in (Reason.OVERRIDES_NOT_FOUND, Reason.OVERRIDES_INVALID)


def _judge_edge(spec: EdgeSpec, edge: Edge) -> Finding:
    type_ = ConditionType.EDGE_DISCOVERED
    if edge.problem is not None:
        return Finding(type_, _FALSE, edge.problem, _explain_edge(spec, edge))
    version = f", Traefik {', '.join(edge.versions)}" if edge.versions else ""
    message = f"{_count(len(edge.pods), 'proxy pod')} of {describe_edge(spec)}{version}."
    return Finding(type_, _TRUE, Reason.DISCOVERED, message)


def _explain_edge(spec: EdgeSpec, edge: Edge) -> str:
    service = f"{spec.namespace}/{spec.resolved_service_name}"
    if edge.problem == Reason.SERVICE_NOT_FOUND:
        text = (
            f"Service {service} does not exist: mend `spec.edge.namespace` and"
            " `spec.edge.serviceName`, or name the proxy's pods in `spec.edge.podSelector`."
        )
    elif edge.problem == Reason.NO_SELECTOR:
        text = (
            f"Service {service} has no selector, so it tells nothing about the proxy's pods: name"
            " them in `spec.edge.podSelector`."
        )
    elif edge.problem == Reason.TRAEFIK_PROXY_PROTOCOL_BUG:
        return (
            f"Traefik {BROKEN_VERSION} sends its own address instead of the client's in the PROXY"
            f" header, and the proxy pods run {', '.join(edge.versions)}. Upgrade Traefik to 3.5.3"
            " or newer."
        )
    elif edge.problem == Reason.TRAEFIK_TOO_OLD:
        return (
            f"The proxy pods run Traefik {', '.join(edge.versions)}, and before 3.5.3 it sends no"
            " PROXY header for `spec.edge.proxyProtocol.field: ServersTransport`. Upgrade Traefik,"
            " or set the field to `Service`."
        )
    else:
        which = _describe_pods(spec.namespace, edge.pod_set.labels if edge.pod_set else ())
        return (
            f"No live proxy pod {which}: no address of the edge is trusted until one runs. Start"
            " the edge, or mend `spec.edge`."
        )
    if edge.pod_set is not None:
        which = _describe_pods(edge.pod_set.namespace, edge.pod_set.labels)
        text += f" Until then trust follows the pods {which}, and routes stay."
    return text


def _judge_entry_points(spec: MailProxySpec, plan: Plan) -> Finding:
    type_, edge = ConditionType.ENTRY_POINTS_READY, plan.edge
    if spec.edge.type != EdgeType.TRAEFIK:
        message = "An edge of type Generic is routed by its own configuration."
        return Finding(type_, _TRUE, Reason.NOT_APPLICABLE, message)
    if not edge.has_pods:
        return Finding(type_, _UNKNOWN, Reason.PENDING, "Waits for the edge to be discovered.")
    if edge.entry_points is None:
        assumed = ", ".join(port.entry_point for port in plan.ports)
        message = (
            "The proxy pods name no entryPoint in their arguments or TRAEFIK_ENTRYPOINTS_*"
            f" variables, so these are assumed: {assumed}. Where they are called otherwise, say so"
            " in `spec.ports[].entryPoint`."
        )
        return Finding(type_, _UNKNOWN, Reason.UNKNOWN, message)
    missing = [port for port in plan.ports if not port.found]
    if missing:
        message = _explain_missing(spec, missing, edge.entry_points)
        return Finding(type_, _FALSE, Reason.ENTRY_POINT_MISSING, message)
    message = f"Every port has an entryPoint: {_list_ports(plan.ports)}."
    return Finding(type_, _TRUE, Reason.FOUND, message)


def _list_ports(ports: Iterable[RoutedPort]) -> str:
    return ", ".join(f"{port.service.name} {port.entry_point}" for port in ports)


def _explain_missing(spec: MailProxySpec, missing: list[RoutedPort], known: Iterable[str]) -> str:
    ports = ", ".join(f"port {port.service.port} ({port.service.name})" for port in missing)
    values = ", ".join(
        f"{_suggest_name(spec, port)}: {{port: {9000 + port.service.port}, exposedPort:"
        f" {port.service.port}, protocol: TCP, expose: {{default: true}}}}"
        for port in missing
    )
    return (
        f"Traefik has no entryPoint for {ports}. Add to the chart's values: ports: {{{values}}};"
        f" or name one of those it has ({', '.join(sorted(known))}) in `spec.ports[].entryPoint`."
    )


def _suggest_name(spec: MailProxySpec, port: RoutedPort) -> str:
    if spec.ports_by_name[port.service.name].entry_point:
        return f"'{port.entry_point}'"  # as the user typed it; YAML would take `on` for a boolean
    # Not `mail-...`: the chart cuts names of ports at 15 characters, where two of them are equal.
    return str(port.service.name)


def _judge_routes(
    proxy: MailProxy, world: World, plan: Plan, problems: Sequence[Problem]
) -> Finding:
    type_ = ConditionType.ROUTES_READY
    if plan.conflict is not None:
        return Finding(type_, _UNKNOWN, Reason.PENDING, "Waits until the spec is accepted.")
    trust = ("ConfigMap", trust_name(proxy))
    others = (_is_about_user_files, is_about_workload)
    mine = [p for p in problems if p.child != trust and not any(is_it(p) for is_it in others)]
    if mine:
        return Finding(type_, _FALSE, mine[0].reason, _explain_problems(mine))
    is_traefik = proxy.spec.edge.type == EdgeType.TRAEFIK
    has_routes = any(kind == "IngressRouteTCP" for kind, _ in world.children)
    if is_traefik and not plan.edge.has_pods and not has_routes:
        message = "Routes are made as soon as the edge is found: see the condition EdgeDiscovered."
        return Finding(type_, _FALSE, Reason.WAITING_FOR_EDGE, message)
    if world.has_ready_endpoints is None:
        message = f"Waits for Kubernetes to look for the pods behind {service_name(proxy)}."
        return Finding(type_, _UNKNOWN, Reason.PENDING, message)
    if not world.has_ready_endpoints:
        labels = tuple(sorted(proxy.spec.mail_server.pod_selector.match_labels.items()))
        message = (
            f"No mail server is ready behind Service {service_name(proxy)}: no pod"
            f" {_describe_pods(proxy.namespace, labels)} is. Start the mail server, or mend"
            " `spec.mailServer.podSelector`."
        )
        return Finding(type_, _FALSE, Reason.NO_ENDPOINTS, message)
    what = "its routes are" if is_traefik else "its endpoints are"
    message = f"Service {service_name(proxy)} and {what} as they should be."
    return Finding(type_, _TRUE, Reason.APPLIED, message)


def _explain_problems(problems: Sequence[Problem]) -> str:
    """Tell the first problem whole, and how many more there are."""
    kind, name = problems[0].child
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{kind} {name}: {problems[0].message}{more}."


def _judge_trust(proxy: MailProxy, plan: Plan, problems: Sequence[Problem]) -> Finding:
    type_, trust = ConditionType.TRUST_READY, plan.trust
    child = ("ConfigMap", trust_name(proxy))
    for problem in problems:
        if problem.child == child:
            return Finding(type_, _FALSE, problem.reason, _explain_problems([problem]))
    if plan.conflict is not None and not plan.children:
        return Finding(type_, _UNKNOWN, Reason.PENDING, "Waits until the spec is accepted.")
    if advice := _explain_lack(trust) or _explain_crowd(plan.clients):
        return Finding(type_, _FALSE, *advice)
    if trust.host_nodes and proxy.spec.trust.source == TrustSource.PROXY_PODS:
        message = (
            f"Proxy pods use the network of {', '.join(trust.host_nodes)}: every process on these"
            " nodes is trusted like the proxy. Run the edge without hostNetwork to narrow it."
        )
        return Finding(type_, _TRUE, Reason.HOST_NETWORK, message)
    wide = [str(network) for network in trust.networks if network.num_addresses > 1]
    if wide:
        message = (
            f"Everybody in {', '.join(wide)} is trusted, not the proxy pods alone. Where you can,"
            " use `spec.trust.from: ProxyPods` and single hosts in `spec.trust.networks`."
        )
        return Finding(type_, _TRUE, Reason.WIDE_NETWORK, message)
    message = f"{_count(len(trust.networks), 'address')} trusted, and no network."
    return Finding(type_, _TRUE, Reason.UP_TO_DATE, message)


def _explain_lack(trust: Trust) -> tuple[Reason, str] | None:
    """Why the edge, or a part of it, is not trusted; None when all of it is."""
    if trust.too_many:
        return Reason.TOO_MANY_ADDRESSES, (
            f"{trust.too_many} trusted networks are more than the {MAX_TRUSTED_NETWORKS} that"
            " Dovecot can read, so nobody is trusted. Run fewer proxy pods, or cover them with"
            " `spec.trust.networks` and `spec.trust.from: None`."
        )
    if trust.silent_nodes:
        return Reason.NO_NODE_ADDRESSES, (
            f"Nothing to trust is known of node {', '.join(trust.silent_nodes)}: it has no"
            " `status.addresses` or no `spec.podCIDRs`. Set `spec.trust.from` to another source,"
            " such as `None` with the node's networks in `spec.trust.networks`."
        )
    if not trust.networks:
        return Reason.NO_PROXY_PODS, (
            "Nobody is trusted: no live proxy pod has an address yet. Start the edge, mend"
            " `spec.edge`, or name networks in `spec.trust.networks`."
        )
    return None


def _explain_crowd(clients: Clients | None) -> tuple[Reason, str] | None:
    """Why no internal client counts; None when all do."""
    if clients is None or not clients.too_many:
        return None
    return Reason.TOO_MANY_ADDRESSES, (
        f"`spec.internalClients` find pods with {clients.too_many} addresses, more than the"
        f" {MAX_TRUSTED_NETWORKS} that Dovecot can read, so none of them counts. Choose fewer by"
        " their labels."
    )


def describe_edge(spec: EdgeSpec) -> str:
    """The edge as `namespace/service`, or by its labels where there is no Service."""
    if spec.pod_selector is None:
        return f"{spec.namespace}/{spec.resolved_service_name}"
    labels = sorted(spec.pod_selector.match_labels.items())
    return f"{spec.namespace}/{','.join(f'{key}={value}' for key, value in labels)}"


def _describe_pods(namespace: str, labels: Labels) -> str:
    text = ",".join(f"{key}={value}" for key, value in labels)
    return f"with the labels {text} in namespace {namespace}"


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
