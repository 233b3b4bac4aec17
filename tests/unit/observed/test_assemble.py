"""A World is given only when everything is known; else what to watch first is named."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.mail_server_bodies import mail_pod_body, workload_body
from tests.unit.random_worlds import clusters, mail_proxy_bodies
from tests.unit.worlds import (
    MAIL_LABELS,
    TRAEFIK_LABELS,
    Body,
    complete,
    config_map_body,
    endpoints_body,
    mail_proxy,
    mail_proxy_body,
    node_body,
    observe,
    pod_body,
    remembering,
    service_body,
)

from mailproxy.api.mailproxy import MailProxy
from mailproxy.identity import PODS, ObjectKey
from mailproxy.observed.assemble import Assembly, NotKnownError, Objects, assemble
from mailproxy.observed.body import sorted_labels
from mailproxy.observed.kinds import CONFIG_MAPS, NODES, SERVICES, WORKLOADS
from mailproxy.observed.selectors import Selection
from mailproxy.observed.snapshot import Snapshot
from mailproxy.observed.workload import Workload
from mailproxy.observed.world import Unreadable
from mailproxy.plan.edge.registry import PROJECTIONS
from mailproxy.plan.model import CHILD_KINDS

WEBMAIL = {"app": "webmail"}
MAIL_PODS = Selection(PODS, "mail", labels=sorted_labels(MAIL_LABELS))
CLIENT_PODS = Selection(PODS, "mail", labels=sorted_labels(WEBMAIL))
OWN_FILES = Selection(CONFIG_MAPS, "mail", name="own")
WORKLOAD = Selection(WORKLOADS["Deployment"], "mail", name="dms")
SERVICE = Selection(SERVICES, "traefik", name="traefik")
EDGE_PODS = Selection(PODS, "traefik", labels=sorted_labels(TRAEFIK_LABELS))
ALL_NODES = Selection(NODES)
EDGE_READ = Selection(CONFIG_MAPS, "traefik", name="traefik-static")  # as an adapter may ask for
EVERYTHING = frozenset(
    {MAIL_PODS, CLIENT_PODS, OWN_FILES, WORKLOAD, SERVICE, EDGE_PODS, ALL_NODES, EDGE_READ}
)
BY_LABEL = {"podSelector": {"matchLabels": {"app": "edge"}}}
LABELLED_PODS = Selection(PODS, "traefik", labels=(("app", "edge"),))
MEMORY = '{"namespace":"traefik","labels":{"app":"former"}}'
FORMER_PODS = Selection(PODS, "traefik", labels=(("app", "former"),))

FORBIDDEN = "403 Forbidden: cannot list"
Know = Callable[[Selection], str | None]


class PartlyKnown:
    """A lookup to which something is not known: `find_problem` says of what, and why not."""

    def __init__(self, bodies: Iterable[Body], find_problem: Know) -> None:
        self._snapshot = Snapshot(map(complete, bodies), PROJECTIONS, CHILD_KINDS.values())
        self._find_problem = find_problem
        # The watches of these are permanent: without them nothing is assembled at all.
        self.proxies = self._snapshot.proxies
        self.children = self._snapshot.children
        self.has_ready_endpoints = self._snapshot.has_ready_endpoints
        self.missing_kinds = self._snapshot.missing_kinds

    def find(self, selection: Selection) -> Objects:
        problem = self._find_problem(selection)
        if problem is not None:
            raise NotKnownError(problem)
        return self._snapshot.find(selection)


def without(*selections: Selection, problem: str = "") -> Know:
    """All but these are known."""
    return lambda selection: problem if selection in selections else None


def only(watched: frozenset[Selection]) -> Know:
    """Only these are known."""
    return lambda selection: None if selection in watched else ""


def demanding(**edge: Any) -> MailProxy:
    """A MailProxy that needs all there is to need."""
    return mail_proxy(
        edge=edge,
        mailServer={
            "podSelector": {"matchLabels": MAIL_LABELS},
            "overridesFrom": "own",
            "workloadRef": {"name": "dms"},
            "wiring": "Inject",
        },
        internalClients=[{"name": "webmail", "podSelector": {"matchLabels": WEBMAIL}}],
        trust={"from": "NodePodCIDRs"},
    )


CLUSTER = [
    service_body(),
    pod_body(),
    pod_body("edge-0", labels={"app": "edge"}),
    pod_body("former-0", labels={"app": "former"}),
    node_body("node-1", pod_cidrs=["10.244.1.0/24"]),
    mail_pod_body(),
    pod_body("webmail-0", namespace="mail", labels=WEBMAIL),
    config_map_body("own", data={"dovecot.cf": ""}),
    config_map_body("traefik-static", "traefik"),
    workload_body(),
    endpoints_body(),
]


def assemble_for(
    proxy: MailProxy, know: Know = lambda _: None, bodies: Iterable[Body] = CLUSTER
) -> Assembly:
    return assemble(proxy, PartlyKnown(bodies, know), [EDGE_READ])


def test_world_holds_all_that_is_known() -> None:
    rival = mail_proxy_body("other", uid="other")
    proxy = demanding()
    assembly = assemble_for(proxy, bodies=[*CLUSTER, rival, mail_proxy_body()])
    world = assembly.world
    assert world is not None
    assert (assembly.needed, assembly.problem) == (EVERYTHING, "")
    assert [other.name for other in world.others] == ["other"]
    assert world.edge_service is not None
    assert world.edge_service.name == "traefik"
    assert world.pod_set is not None
    assert world.pod_set.selection == EDGE_PODS
    assert [pod.name for pod in world.pods] == ["traefik-0"]
    assert list(world.nodes) == ["node-1"]
    assert [pod.name for pod in world.mail_pods] == ["dms-0"]
    assert [pod.name for pod in world.client_pods["webmail"]] == ["webmail-0"]
    assert world.user_overrides is not None
    assert world.user_overrides.child.name == "own"
    assert isinstance(world.workload, Workload)
    assert list(world.edge_objects) == [EDGE_READ]
    assert list(world.edge_objects[EDGE_READ]) == [ObjectKey("traefik", "traefik-static")]
    assert world.has_ready_endpoints is True


def test_what_does_not_exist_is_no_reason_to_wait() -> None:
    world = assemble_for(demanding(), bodies=[]).world
    assert world is not None
    assert (world.edge_service, world.pod_set, world.pods) == (None, None, ())
    assert (world.user_overrides, world.workload, world.mail_pods) == (None, None, ())
    assert (world.nodes, world.has_ready_endpoints) == ({}, None)
    assert world.client_pods == {"webmail": ()}


@pytest.mark.parametrize("selection", sorted(EVERYTHING, key=str), ids=str)
def test_there_is_no_world_while_anything_is_not_known(selection: Selection) -> None:
    assembly = assemble_for(demanding(), without(selection))
    assert (assembly.world, assembly.problem) == (None, "")
    assert selection in assembly.needed


@pytest.mark.parametrize("selection", sorted(EVERYTHING - {WORKLOAD}, key=str), ids=str)
def test_what_cannot_be_read_is_the_problem(selection: Selection) -> None:
    assembly = assemble_for(demanding(), without(selection, problem=FORBIDDEN))
    assert (assembly.world, assembly.problem) == (None, FORBIDDEN)
    assert selection in assembly.needed


def test_problem_counts_more_than_what_has_merely_not_come_yet() -> None:
    def know(selection: Selection) -> str:
        return FORBIDDEN if selection == SERVICE else ""

    assembly = assemble_for(demanding(), know)
    assert (assembly.world, assembly.problem) == (None, FORBIDDEN)


def test_workload_that_cannot_be_read_is_no_reason_to_wait_with_all_else() -> None:
    assembly = assemble_for(demanding(), without(WORKLOAD, problem=FORBIDDEN))
    assert assembly.world is not None
    assert assembly.world.workload == Unreadable(FORBIDDEN)
    assert (assembly.needed, assembly.problem) == (EVERYTHING, "")


def test_workload_that_cannot_be_read_is_not_the_problem_of_something_else() -> None:
    def know(selection: Selection) -> str | None:
        return {WORKLOAD: FORBIDDEN, SERVICE: ""}.get(selection)

    assembly = assemble_for(demanding(), know)
    assert (assembly.world, assembly.problem) == (None, "")


@pytest.mark.parametrize(
    ("server", "needed"),
    [
        ({}, False),
        ({"workloadRef": {"name": "dms"}}, False),
        ({"workloadRef": {"name": "dms"}, "wiring": "Inject"}, True),
        ({"workloadRef": {"name": "dms"}, "trustUpdate": "Restart"}, True),
    ],
)
def test_workload_is_asked_for_only_if_it_is_to_be_changed(server: Body, needed: bool) -> None:
    base = {"podSelector": {"matchLabels": MAIL_LABELS}}
    assembly = assemble_for(mail_proxy(mailServer=base | server))
    assert assembly.world is not None
    assert (WORKLOAD in assembly.needed) is needed
    assert (assembly.world.workload is not None) is needed


def find_pods_of_the_edge(assembly: Assembly) -> set[Selection]:
    return {s for s in assembly.needed if s.resource == PODS and s.namespace == "traefik"}


@pytest.mark.parametrize("problem", ["", FORBIDDEN])
@pytest.mark.parametrize(
    ("edge", "asked_for"),
    [
        ({}, set()),
        (BY_LABEL | {"serviceName": "traefik"}, {LABELLED_PODS}),
    ],
)
def test_pods_are_asked_for_before_the_service_is_known_only_if_labels_select_them(
    edge: Body, asked_for: set[Selection], problem: str
) -> None:
    memory = remembering(mail_proxy(), MEMORY)
    know = without(SERVICE, problem=problem)
    for bodies in (CLUSTER, [*CLUSTER, memory]):  # nor are the pods of before
        assembly = assemble_for(demanding(**edge), know, bodies)
        assert assembly.world is None
        assert SERVICE in assembly.needed
        assert find_pods_of_the_edge(assembly) == asked_for


def test_pods_of_before_are_asked_for_once_the_service_is_known_not_to_exist() -> None:
    bodies = [body for body in CLUSTER if body["kind"] != "Service"]
    assembly = assemble_for(demanding(), bodies=[*bodies, remembering(mail_proxy(), MEMORY)])
    assert find_pods_of_the_edge(assembly) == {FORMER_PODS}
    assert assembly.world is not None
    assert [pod.name for pod in assembly.world.pods] == ["former-0"]


def test_no_service_is_asked_for_where_labels_alone_select_the_pods() -> None:
    assembly = assemble_for(demanding(**BY_LABEL))
    assert assembly.world is not None
    assert not {s for s in assembly.needed if s.resource == SERVICES}
    assert assembly.world.edge_service is None


def test_everything_that_does_not_depend_on_something_else_is_asked_for_at_once() -> None:
    assembly = assemble_for(demanding(), lambda _: "")
    assert assembly.world is None
    assert assembly.needed == EVERYTHING - {EDGE_PODS}


@pytest.mark.parametrize(
    ("trust", "host_network", "pods_are_known", "needed"),
    [
        ({"from": "ProxyPods"}, False, True, False),
        ({"from": "ProxyPods"}, True, True, True),
        ({"from": "ProxyPods"}, True, False, False),
        ({"from": "NodePodCIDRs"}, False, False, True),
        ({"from": "None", "networks": ["192.0.2.0/24"]}, True, True, False),
    ],
)
def test_nodes_are_asked_for_as_soon_as_trust_depends_on_them(
    trust: Body, host_network: bool, pods_are_known: bool, needed: bool
) -> None:
    bodies = [service_body(), pod_body(host_network=host_network)]
    know = without() if pods_are_known else without(EDGE_PODS)
    assembly = assemble_for(mail_proxy(trust=trust), know, bodies)
    assert (ALL_NODES in assembly.needed) is needed


few = settings(max_examples=20)  # building a cluster takes most of the time
cases = mail_proxy_bodies().flatmap(lambda body: st.tuples(st.just(body), clusters(body)))


@few
@given(case=cases)
def test_watching_what_is_named_leads_to_the_whole_world_in_a_few_rounds(
    case: tuple[Body, list[Body]],
) -> None:
    body, objects = case
    proxy = MailProxy.model_validate(body)
    watched: frozenset[Selection] = frozenset()
    for _ in range(4):  # the Service, then its pods, then their nodes
        assembly = assemble(proxy, PartlyKnown(objects, only(watched)))
        assert watched <= assembly.needed
        assert (assembly.world is None) == (assembly.needed > watched)
        watched = assembly.needed
    assert assembly.world == observe(proxy, objects)


@few
@given(case=cases, data=st.data())
def test_any_part_that_is_not_known_is_named_and_never_taken_for_nothing(
    case: tuple[Body, list[Body]], data: st.DataObject
) -> None:
    body, objects = case
    proxy = MailProxy.model_validate(body)
    needed = assemble(proxy, PartlyKnown(objects, without())).needed
    unknown = data.draw(st.sets(st.sampled_from(sorted(needed, key=str)), min_size=1))
    problem = data.draw(st.sampled_from(["", FORBIDDEN]))
    assembly = assemble(proxy, PartlyKnown(objects, without(*unknown, problem=problem)))
    workloads = {s for s in unknown if s.resource in WORKLOADS.values()}
    if problem and unknown == workloads:
        assert assembly.world is not None
        assert assembly.world.workload == Unreadable(problem)
    else:
        assert (assembly.world, assembly.problem) == (None, problem)
    assert unknown & assembly.needed
    assert assembly.needed <= needed | unknown
