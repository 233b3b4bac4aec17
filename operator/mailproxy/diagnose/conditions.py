"""All conditions of a MailProxy, each decided by the module that owns it."""

from dataclasses import replace
from importlib import import_module
from typing import cast

from pydantic.alias_generators import to_snake

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.mailproxy import MailProxy
from mailproxy.diagnose.case import Case, Judge
from mailproxy.diagnose.ready import summarize
from mailproxy.identity import ObjectRef

# The module of `TrustReady` is `trust_ready`; all but `Ready`, in the order of the data path.
JUDGES = tuple(
    cast("Judge", import_module(f"mailproxy.diagnose.{to_snake(type_)}"))
    for type_ in ConditionType
    if type_ != ConditionType.READY
)


def find_conditions(case: Case) -> list[Finding]:
    """One finding for each condition, in the order of the data path; `Ready` comes last."""
    findings = [_decide(judge, case) for judge in JUDGES]
    return [*findings, summarize(findings)]


def find_owner(proxy: MailProxy, ref: ObjectRef) -> ConditionType:
    """The condition to which a failure to write this object belongs."""
    return next(judge.CONDITION for judge in JUDGES if judge.owns(proxy, ref))


def _decide(judge: Judge, case: Case) -> Finding:
    """The gravest of what is known about a condition, and how many more failures there are."""
    given = [f for f in case.findings if f.condition == judge.CONDITION]
    finding = min((*given, *judge.inspect(case)), key=lambda found: found.severity)
    failures = [f for f in given if f.status == ConditionStatus.FALSE]
    if finding in failures and len(failures) > 1:
        more = f"{finding.message} (And {len(failures) - 1} more.)"
        return replace(finding, message=more)
    return finding
