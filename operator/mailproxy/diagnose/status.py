"""`status` as it should be written, and the events that tell of its changes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from mailproxy.api.conditions import Condition, ConditionStatus, ConditionType
from mailproxy.api.edge import EdgeType
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.api.status import (
    MAX_PODS,
    MAX_VERSION_LENGTH,
    MailProxyStatus,
    PortStatus,
    ProxyStatus,
)
from mailproxy.diagnose.conditions import find_conditions
from mailproxy.diagnose.finding import Finding
from mailproxy.diagnose.words import describe_edge
from mailproxy.observed.world import ChildId, World
from mailproxy.plan.edge.facts import RoutedPort
from mailproxy.plan.metadata import overrides_hash, overrides_name, route_name, trust_name
from mailproxy.plan.model import Plan, Problem, child_id

Status = dict[str, Any]


def build_status(
    proxy: MailProxy,
    world: World,
    plan: Plan,
    problems: Sequence[Problem],
    previous: Status,
    now: datetime,
) -> Status:
    """Build the status after a reconcile.

    `problems` are those that applying met, beside the plan's own. `previous` gives the times of
    conditions that did not change, and what ConfigMaps hold that were not written now.
    """
    all_problems = (*plan.problems, *problems)
    failed = {problem.child for problem in all_problems}
    ports = [_build_port(proxy, world, plan, port, failed) for port in plan.ports]
    findings = find_conditions(proxy, world, plan, all_problems)
    status = MailProxyStatus(
        observed_generation=proxy.metadata.generation,
        conditions=_build_conditions(findings, proxy.metadata.generation, previous, now),
        edge=describe_edge(proxy.spec.edge),
        traefik_version=", ".join(plan.edge.versions)[:MAX_VERSION_LENGTH] or None,
        proxies=[
            ProxyStatus(
                pod=pod.name,
                node=pod.node,
                addresses=[str(address) for address in pod.addresses],
                phase=pod.phase,
                believed=next(
                    (world.beliefs[a] for a in pod.addresses if a in world.beliefs), None
                ),
            )
            for pod in plan.edge.pods[:MAX_PODS]
        ],
        ports=ports,
        ports_summary=f"{sum(port.ready for port in ports)}/{len(ports)}",
        **_describe_config_maps(proxy, world, plan, failed, previous),
    )
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def build_held_status(
    message: str, generation: int, reason: Reason, previous: Status, now: datetime
) -> Status:
    """Status of a MailProxy that cannot be followed now: all that was found before stays.

    `reason` is `Invalid` for a spec that the model refuses (the API server's rules may be older
    or newer than the operator), or `Unobservable`, or `Suspended`.
    """
    findings = {
        Reason.INVALID: (ConditionType.ACCEPTED, ConditionStatus.FALSE),
        Reason.UNOBSERVABLE: (ConditionType.EDGE_DISCOVERED, ConditionStatus.UNKNOWN),
        Reason.SUSPENDED: (ConditionType.ACCEPTED, ConditionStatus.TRUE),
    }
    type_, status = findings[reason]
    ready = ConditionStatus.FALSE if reason == Reason.INVALID else ConditionStatus.UNKNOWN
    changed = [
        Finding(type_, status, reason, message),
        Finding(ConditionType.READY, ready, reason, message),
    ]
    conditions = known_conditions(previous)
    for condition in _build_conditions(changed, generation, previous, now):
        conditions[condition.type] = condition
    empty = {
        "edge": "",
        "proxies": [],
        "ports": [],
        "portsSummary": "",
        "trustedNetworks": [],
        "trustedCount": 0,
    }
    ordered = [
        conditions[name].model_dump(mode="json", by_alias=True)
        for name in ConditionType
        if name in conditions
    ]
    kept = {field: value for field, value in previous.items() if value is not None}
    return {**empty, **kept, "observedGeneration": generation, "conditions": ordered}


def _build_conditions(
    findings: Sequence[Finding], generation: int, previous: Status, now: datetime
) -> list[Condition]:
    known = known_conditions(previous)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        Condition(
            type=finding.type,
            status=finding.status,
            reason=finding.reason,
            message=finding.message[:4096],
            observed_generation=generation,
            last_transition_time=_since(known.get(finding.type), finding.status, stamp),
        )
        for finding in findings
    ]


def _since(known: Condition | None, status: ConditionStatus, now: str) -> str:
    return known.last_transition_time if known and known.status == status else now


def known_conditions(status: Status) -> dict[ConditionType, Condition]:
    """Conditions of a status that was read; what makes no sense counts as not there."""
    known: dict[ConditionType, Condition] = {}
    for body in status.get("conditions") or []:
        try:
            condition = Condition.model_validate(body)
        except ValidationError:  # of another version of the operator
            continue
        known[condition.type] = condition
    return known


def _build_port(
    proxy: MailProxy, world: World, plan: Plan, port: RoutedPort, failed: set[ChildId]
) -> PortStatus:
    is_traefik = proxy.spec.edge.type == EdgeType.TRAEFIK
    key = ("IngressRouteTCP", route_name(proxy, port.service))
    planned = key in {child_id(manifest) for manifest in plan.children}
    is_routed = is_traefik and key not in failed and (planned or key in world.children)
    return PortStatus(
        name=port.service.name,
        entry_point=port.entry_point if is_traefik and plan.edge.has_pods else None,
        exposed_port=port.exposed_port,
        target_port=port.service.target_port(proxy.spec.listeners),
        route=key[1] if is_routed else None,
        ready=plan.edge.has_pods and (not is_traefik or (is_routed and port.found is not False)),
    )


def _describe_config_maps(
    proxy: MailProxy, world: World, plan: Plan, failed: set[ChildId], previous: Status
) -> dict[str, Any]:
    """What our ConfigMaps hold: the plan's files, or the known ones where those are not written.

    A ConfigMap that is neither written nor there holds nothing.
    """
    written = {
        child_id(manifest): overrides_hash(manifest["data"])
        for manifest in plan.children
        if manifest["kind"] == "ConfigMap" and child_id(manifest) not in failed
    }
    known = dict.fromkeys(world.children, previous)
    overrides, trust = ("ConfigMap", overrides_name(proxy)), ("ConfigMap", trust_name(proxy))
    trusted = known.get(trust, {}).get("trustedNetworks") or []
    if trust in written:
        trusted = [str(network) for network in plan.trust.networks]
    return {
        "trusted_networks": trusted,
        "trusted_count": len(trusted),
        "overrides_hash": written.get(overrides) or known.get(overrides, {}).get("overridesHash"),
        "trust_hash": written.get(trust) or known.get(trust, {}).get("trustHash"),
    }
