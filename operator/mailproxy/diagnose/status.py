"""`status` as it should be written."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from mailproxy.api.conditions import Condition, ConditionStatus, ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.reasons import Reason
from mailproxy.api.status import (
    MAX_PODS,
    MAX_VERSION_LENGTH,
    MailProxyStatus,
    PortStatus,
    ProxyStatus,
)
from mailproxy.diagnose.case import Case
from mailproxy.diagnose.conditions import find_conditions
from mailproxy.diagnose.words import describe_edge
from mailproxy.identity import ObjectRef
from mailproxy.plan.edge.model import RoutedPort
from mailproxy.plan.edge.registry import find_adapter
from mailproxy.plan.metadata import find_ref, hash_files

Status = dict[str, Any]


def build_status(case: Case, previous: Status, now: datetime) -> Status:
    """Build the status after a reconcile.

    `previous` gives the times of conditions that did not change, and what ConfigMaps hold that
    were not written now.
    """
    proxy, edge = case.proxy, case.plan.edge
    ports = [_build_port(case, port) for port in case.plan.ports]
    generation = proxy.metadata.generation
    status = MailProxyStatus(
        observed_generation=generation,
        conditions=_build_conditions(find_conditions(case), generation, previous, now),
        edge=describe_edge(proxy.spec.edge),
        edge_version=", ".join(edge.facts.versions)[:MAX_VERSION_LENGTH] or None,
        proxies=[
            ProxyStatus(
                pod=pod.name,
                node=pod.node,
                addresses=[str(address) for address in pod.addresses],
                phase=pod.phase,
                header_accepted=case.evidence.accepts(pod),
            )
            for pod in edge.pods[:MAX_PODS]
        ],
        ports=ports,
        ports_summary=f"{sum(port.ready for port in ports)}/{len(ports)}",
        **_describe_config_maps(case, previous),
    )
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def build_held_status(
    message: str, generation: int, reason: Reason, previous: Status, now: datetime
) -> Status:
    """Status of a MailProxy that cannot be followed now: all that was found before stays.

    `reason` is `Invalid` for a spec that the model refuses (the API server's rules may be older
    or newer than the operator), or `Unobservable`, or `Suspended`.
    """
    changed = [
        Finding(reason.conditions[0], reason, message),
        Finding(ConditionType.READY, reason, message),
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
            type=finding.condition,
            status=finding.status,
            reason=finding.reason,
            message=finding.message[:4096],
            observed_generation=generation,
            last_transition_time=_since(known.get(finding.condition), finding.status, stamp),
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


def _build_port(case: Case, port: RoutedPort) -> PortStatus:
    adapter, has_pods = find_adapter(case.proxy.spec.edge.type), case.plan.edge.has_pods
    route = adapter.find_route(case.proxy, port.service)
    failed = {finding.object for finding in case.findings}
    known = {*case.world.children, *map(find_ref, case.plan.children)}
    is_routed = route in known - failed
    return PortStatus(
        name=port.service.name,
        entry_point=port.entry_point if route and has_pods else None,
        exposed_port=port.exposed_port,
        target_port=port.service.target_port(case.proxy.spec.listeners),
        route=route.name if route and is_routed else None,
        ready=has_pods and (route is None or (is_routed and port.found is not False)),
    )


def _describe_config_maps(case: Case, previous: Status) -> dict[str, Any]:
    """What our ConfigMaps hold: the plan's files, or the known ones where those are not written.

    A ConfigMap that is neither written nor there holds nothing.
    """
    failed = {finding.object for finding in case.findings}
    written = {
        find_ref(manifest): hash_files(manifest["data"])
        for manifest in case.plan.children
        if manifest["kind"] == "ConfigMap" and find_ref(manifest) not in failed
    }
    trust = ObjectRef("ConfigMap", case.proxy.trust_name)
    overrides = ObjectRef("ConfigMap", case.proxy.overrides_name)
    known_trust = previous if trust in case.world.children else {}
    known_overrides = previous if overrides in case.world.children else {}
    trusted = known_trust.get("trustedNetworks") or []
    if trust in written:
        trusted = [str(network) for network in case.plan.trust.networks]
    return {
        "trusted_networks": trusted,
        "trusted_count": len(trusted),
        "overrides_hash": written.get(overrides) or known_overrides.get("overridesHash"),
        "trust_hash": written.get(trust) or known_trust.get("trustHash"),
    }
