"""`Accepted`: whether the spec is valid and in conflict with no other MailProxy."""

from mailproxy.api.conditions import ConditionType
from mailproxy.api.reasons import Reason
from mailproxy.diagnose.finding import _FALSE, _TRUE, Finding
from mailproxy.observed.world import World
from mailproxy.plan.model import Plan, Problem


def judge_accepted(world: World, plan: Plan) -> Finding:
    if plan.conflict is not None:
        return Finding(ConditionType.ACCEPTED, _FALSE, Reason.CONFLICT, f"{plan.conflict}.")
    for problem in filter(is_about_user_files, plan.problems):
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


def is_about_user_files(problem: Problem) -> bool:
    return problem.reason in (Reason.OVERRIDES_NOT_FOUND, Reason.OVERRIDES_INVALID)
