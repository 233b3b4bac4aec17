"""What a finding says of its condition, by its reason alone."""

import pytest

from mailproxy.api.conditions import ConditionStatus, ConditionType
from mailproxy.api.finding import Finding
from mailproxy.api.reasons import Reason


def finding(reason: Reason, type_: ConditionType = ConditionType.TRUST_READY) -> Finding:
    return Finding(type_, reason, "Why.")


def test_gravest_is_false_then_unknown_then_advice_then_true() -> None:
    order = [Reason.NO_PROXY_PODS, Reason.PENDING, Reason.HOST_NETWORK, Reason.UP_TO_DATE]
    severities = [finding(reason).severity for reason in order]
    assert severities == sorted(set(severities))


@pytest.mark.parametrize("reason", Reason)
def test_status_is_that_of_the_reason(reason: Reason) -> None:
    assert finding(reason, reason.conditions[0]).status == (
        reason.ready if reason.conditions[0] == ConditionType.READY else reason.status
    )
    assert finding(reason, ConditionType.READY).status == reason.ready


def test_suspended_mail_proxy_is_accepted_and_it_is_unknown_whether_it_is_ready() -> None:
    assert finding(Reason.SUSPENDED, ConditionType.ACCEPTED).status == ConditionStatus.TRUE
    assert finding(Reason.SUSPENDED, ConditionType.READY).status == ConditionStatus.UNKNOWN


@pytest.mark.parametrize("reason", Reason)
def test_advice_has_a_status_that_does_not_fail(reason: Reason) -> None:
    assert not reason.advisory or reason.status == ConditionStatus.TRUE
