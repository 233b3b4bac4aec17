"""Each condition has one module, each object one condition, and each reason its conditions."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.random_worlds import clusters, mail_proxies, mail_proxy_bodies
from tests.unit.worlds import Body, mail_proxy, observe, pod_body, service_body

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.case import Case, Judge
from mailproxy.diagnose.conditions import JUDGES, find_conditions, find_owner
from mailproxy.identity import ObjectRef
from mailproxy.observed.evidence import Evidence
from mailproxy.observed.kinds import WORKLOADS
from mailproxy.observed.selectors import find_workload
from mailproxy.plan.build import build_plan
from mailproxy.plan.edge.registry import ROUTE_KINDS
from mailproxy.plan.metadata import find_ref
from mailproxy.plan.model import CHILD_KINDS
from mailproxy.plan.rollout.mounts import find_wanted
from mailproxy.plan.rollout.workload import explain_refusal, inspect_workload

few = settings(max_examples=30)  # building a cluster takes most of the time
worlds = mail_proxy_bodies().flatmap(lambda body: st.tuples(st.just(body), clusters(body)))
answers = st.sampled_from([None, True, False])
write_failures = st.sampled_from(
    [None, None, Reason.NOT_OWNED, Reason.REFUSED, Reason.CRD_MISSING, Reason.CRD_OUTDATED]
)
ROUTE_FAILURES = {Reason.CRD_MISSING, Reason.CRD_OUTDATED}  # what only routes can meet


def find_judges(proxy: MailProxy, ref: ObjectRef) -> list[Judge]:
    return [judge for judge in JUDGES if judge.owns(proxy, ref)]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A MailProxy in some cluster, what was tried there, and some writes that were refused."""
    body, objects = draw(worlds)
    proxy = MailProxy.model_validate(body)
    missing = draw(st.sets(st.sampled_from([resource.kind for resource in ROUTE_KINDS])))
    world = replace(observe(proxy, objects), missing_kinds=frozenset(missing))
    plan = build_plan(proxy, world)
    addresses = [address for pod in plan.edge.pods for address in pod.addresses[:1]]
    known = {address: draw(answers) for address in addresses}
    evidence = Evidence(
        {address: answer for address, answer in known.items() if answer is not None},
        volume_refresh_allowed=draw(answers),
    )
    failures = [
        Finding(find_owner(proxy, ref), reason, f"{ref} is refused.", ref)
        for ref in map(find_ref, plan.children)
        if (reason := draw(write_failures))
        and (reason not in ROUTE_FAILURES or ref.kind in {r.kind for r in ROUTE_KINDS})
    ]
    if (ref := find_workload(proxy)) and plan.conflict is None:
        wanted = find_wanted(proxy, world, plan)
        found = inspect_workload(proxy, ref, world.workload, wanted)
        if found is None and draw(st.booleans()):
            forbidden = draw(st.booleans())
            found = explain_refusal(ref, proxy.namespace, "no", forbidden=forbidden)
        failures += [found] if found else []
    return Case(proxy, world, evidence, plan, tuple(failures))


def test_judges_are_in_the_order_of_the_conditions() -> None:
    types = [judge.CONDITION for judge in JUDGES]
    assert [*types, ConditionType.READY] == list(ConditionType)


@few
@given(world=worlds)
def test_each_child_of_a_plan_has_one_judge(world: tuple[Body, list[Body]]) -> None:
    body, objects = world
    proxy = MailProxy.model_validate(body)
    for child in build_plan(proxy, observe(proxy, objects)).children:
        ref = find_ref(child)
        (judge,) = find_judges(proxy, ref)
        assert find_owner(proxy, ref) == judge.CONDITION


@few
@given(proxy=mail_proxies, name=st.sampled_from(["dms", "mail", "mail-overrides", "mail-trust"]))
def test_each_kind_of_workload_has_one_judge_whatever_its_name(proxy: MailProxy, name: str) -> None:
    for kind in WORKLOADS:
        (judge,) = find_judges(proxy, ObjectRef(kind, name))
        assert judge.CONDITION == ConditionType.MAIL_SERVER_READY


@pytest.mark.parametrize("kind", CHILD_KINDS)
def test_each_kind_of_child_has_one_judge(kind: str) -> None:
    proxy = mail_proxy(edge={"traefik": {"proxyProtocolField": "ServersTransport"}})
    plan = build_plan(proxy, observe(proxy, [service_body(), pod_body()]))
    refs = [ref for ref in map(find_ref, plan.children) if ref.kind == kind]
    assert refs
    for ref in refs:
        assert len(find_judges(proxy, ref)) == 1


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_a_condition(reason: Reason) -> None:
    assert reason.conditions
    assert set(reason.conditions) <= set(ConditionType)
    assert len(set(reason.conditions)) == len(reason.conditions)


@pytest.mark.parametrize("type_", ConditionType)
def test_each_condition_has_a_reason_for_each_status_that_it_can_have(type_: ConditionType) -> None:
    statuses = {
        Finding(type_, reason, "").status for reason in Reason if type_ in reason.conditions
    }
    assert ConditionStatus.TRUE in statuses
    if type_ != ConditionType.READY:  # it repeats the reason of the condition that fails
        assert ConditionStatus.FALSE in statuses
    assert ConditionStatus.UNKNOWN in statuses


@settings(max_examples=60)
@given(case=cases())
def test_each_condition_has_one_finding_whose_reason_belongs_to_it(case: Case) -> None:
    findings = find_conditions(case)
    assert [finding.condition for finding in findings] == list(ConditionType)
    for finding in findings[:-1]:
        assert finding.condition in finding.reason.conditions, finding
    assert all(finding.message for finding in findings)


@settings(max_examples=30)
@given(case=cases())
def test_each_finding_of_a_plan_or_of_a_judge_belongs_to_its_condition(case: Case) -> None:
    for finding in case.findings:
        assert finding.condition in finding.reason.conditions, finding
    for judge in JUDGES:
        for finding in judge.inspect(case):
            assert finding.condition == judge.CONDITION
            assert finding.condition in finding.reason.conditions, finding
