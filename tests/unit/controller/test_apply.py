"""What a pass reports of writes that are refused, and of those that may succeed later."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.unit.worlds import (
    child_body,
    complete,
    mail_proxy,
    mail_proxy_body,
    observe,
    pod_body,
    service_body,
)

from mailproxy.api.conditions import ConditionType
from mailproxy.api.reasons import Reason
from mailproxy.controller.apply import Applier, OwnerGoneError
from mailproxy.controller.memory import Memory
from mailproxy.controller.step import Pass
from mailproxy.identity import ObjectRef, Resource
from mailproxy.kube.errors import (
    ApiError,
    FieldNotDeclared,
    Forbidden,
    NotFound,
    NotServed,
    TransientError,
)
from mailproxy.observed.mail_proxy import read_proxy
from mailproxy.plan.build import build_plan
from mailproxy.plan.metadata import find_ref
from mailproxy.plan.model import CHILD_KINDS

WITH_TRANSPORT = {"traefik": {"proxyProtocolField": "ServersTransport"}}
BODY = complete(mail_proxy_body(edge=WITH_TRANSPORT, ports=[{"name": "smtp"}]))
CHILDREN = [
    ObjectRef("ConfigMap", "mail-trust"),
    ObjectRef("ConfigMap", "mail-overrides"),
    ObjectRef("NetworkPolicy", "mail-proxy-ports"),
    ObjectRef("Service", "mail-proxy"),
    ObjectRef("ServersTransportTCP", "mail"),
    ObjectRef("IngressRouteTCP", "mail-smtp"),
]
ROUTES = CHILDREN[-2:]
UNDECLARED = FieldNotDeclared(500, "", ".spec.x: field not declared in schema")


@dataclass
class Cluster:
    """An API server as far as the step needs one."""

    errors: dict[ObjectRef, Exception] = field(default_factory=dict)  # of applies
    others: dict[ObjectRef, Any] = field(default_factory=dict)  # what lacks our label
    owner: dict[str, Any] | None = field(default_factory=lambda: BODY)
    applied: list[ObjectRef] = field(default_factory=list)

    async def get(self, resource: Resource, _: str, name: str) -> Any:
        ref = ObjectRef(resource.kind, name)
        found = self.owner if resource.kind == "MailProxy" else self.others.get(ref)
        if found is None:
            raise NotFound(404, "NotFound", f"{ref} not found")
        return found

    async def apply(self, resource: Resource, manifest: Any) -> Any:
        ref = find_ref(manifest)
        assert resource == CHILD_KINDS[ref.kind]
        if ref in self.errors:
            raise self.errors[ref]
        self.applied.append(ref)
        return complete(manifest)

    async def run(self) -> Pass:
        """The pass after the step."""
        stored = read_proxy(BODY)
        assert stored.proxy
        world = observe(stored.proxy, [service_body(), pod_body()])
        plan = build_plan(stored.proxy, world)
        current = Pass(stored, stored.proxy, world, plan, Memory(), again_in=300)
        await Applier(self).run(current)  # type: ignore[arg-type]
        return current


async def test_every_child_is_applied_once() -> None:
    cluster = Cluster()
    current = await cluster.run()
    assert sorted(cluster.applied) == sorted(CHILDREN)
    assert (current.failures, current.errors, current.changed) == ([], {}, True)


@pytest.mark.parametrize(
    ("ref", "error", "reason", "said"),
    [
        *((ref, ApiError(422, "Invalid", "quota"), Reason.REFUSED, "quota") for ref in CHILDREN),
        *((ref, Forbidden(403, "", "no"), Reason.REFUSED, "API server: no.") for ref in CHILDREN),
        *((ref, UNDECLARED, Reason.CRD_OUTDATED, "upgrade Traefik's CRDs") for ref in ROUTES),
        (CHILDREN[0], UNDECLARED, Reason.REFUSED, ".spec.x"),
        *(
            (ref, NotServed(404, "", "404"), Reason.CRD_MISSING, "install Traefik's CRDs")
            for ref in ROUTES
        ),
    ],
)
async def test_refusal_is_a_failure_of_that_child_alone(
    ref: ObjectRef, error: Exception, reason: Reason, said: str
) -> None:
    cluster = Cluster(errors={ref: error})
    current = await cluster.run()
    (failure,) = current.failures
    assert (failure.object, failure.reason) == (ref, reason)
    assert failure.condition in reason.conditions
    assert failure.condition != ConditionType.READY
    assert failure.message.startswith(str(ref))
    assert said in failure.message
    assert re.fullmatch(r"[^\n]*[^. ]\.", failure.message)
    assert sorted(cluster.applied) == sorted(set(CHILDREN) - {ref})
    assert [current.is_written(child) for child in CHILDREN].count(False) == 1
    current.raise_error()


@pytest.mark.parametrize("ref", CHILDREN)
async def test_object_of_another_owner_is_left_alone(ref: ObjectRef) -> None:
    body = child_body(mail_proxy(), *ref)
    body["metadata"] |= {"labels": {}, "ownerReferences": []}
    cluster = Cluster(others={ref: body})
    (failure,) = (await cluster.run()).failures
    assert (failure.object, failure.reason) == (ref, Reason.NOT_OWNED)
    assert failure.condition in Reason.NOT_OWNED.conditions
    assert "already exists and is not managed by this MailProxy" in failure.message
    assert ref not in cluster.applied


@pytest.mark.parametrize("ref", CHILDREN)
async def test_object_that_has_lost_its_label_alone_is_ours(ref: ObjectRef) -> None:
    body = child_body(mail_proxy(), *ref)
    body["metadata"] |= {"labels": {}}
    cluster = Cluster(others={ref: body})
    assert (await cluster.run()).failures == []
    assert ref in cluster.applied


@pytest.mark.parametrize("ref", CHILDREN)
async def test_write_that_may_succeed_later_is_an_error_and_the_others_go_on(
    ref: ObjectRef,
) -> None:
    cluster = Cluster(errors={ref: TransientError("lost")})
    current = await cluster.run()
    assert (list(current.errors), current.failures) == ([ref], [])
    assert sorted(cluster.applied) == sorted(set(CHILDREN) - {ref})
    assert not current.is_written(ref)
    with pytest.raises(TransientError, match="lost"):
        current.raise_error()


@pytest.mark.parametrize(
    "metadata", [None, {"uid": "another"}, {"deletionTimestamp": "2026-08-01T12:00:00Z"}]
)
async def test_nothing_is_created_for_a_mail_proxy_that_is_gone(metadata: Any) -> None:
    owner = metadata and BODY | {"metadata": BODY["metadata"] | metadata}
    cluster = Cluster(owner=owner)
    with pytest.raises(OwnerGoneError):
        await cluster.run()
    assert cluster.applied == []
