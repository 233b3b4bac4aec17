"""All conditions of a MailProxy."""

from collections.abc import Sequence

from mailproxy.api.conditions import ConditionType
from mailproxy.api.mailproxy import MailProxy
from mailproxy.diagnose.accepted import judge_accepted
from mailproxy.diagnose.edge_discovered import judge_edge
from mailproxy.diagnose.entry_points_ready import judge_entry_points
from mailproxy.diagnose.finding import Finding
from mailproxy.diagnose.mail_server_ready import judge_mail_server
from mailproxy.diagnose.ready import summarize
from mailproxy.diagnose.routes_ready import judge_routes
from mailproxy.diagnose.trust_ready import judge_trust
from mailproxy.observed.world import World
from mailproxy.plan.model import Plan, Problem


def find_conditions(
    proxy: MailProxy, world: World, plan: Plan, problems: Sequence[Problem]
) -> list[Finding]:
    """All conditions in the order of the data path; `problems` are those of plan and apply."""
    findings = [
        judge_accepted(world, plan),
        judge_edge(proxy.spec.edge, plan.edge),
        judge_entry_points(proxy.spec, plan),
        judge_routes(proxy, world, plan, problems),
        judge_trust(proxy, plan, problems),
        Finding(ConditionType.MAIL_SERVER_READY, *judge_mail_server(proxy, world, plan, problems)),
    ]
    return [*findings, summarize(findings)]
