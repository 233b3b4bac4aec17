"""Run by test_experiments.py against a package with the condition SenderKnown."""

from tests.unit.mail_server_bodies import mail_pod_body
from tests.unit.worlds import (
    condition,
    endpoints_body,
    judge,
    mail_proxy,
    observe,
    pod_body,
    service_body,
)

from mailproxy.api.conditions import ConditionType
from mailproxy.api.crd import build_crd
from mailproxy.api.status import MailProxyStatus
from mailproxy.diagnose.events import find_event_notes

GOOD = [service_body(), pod_body(), endpoints_body(), mail_pod_body()]


def test_schema_admits_it() -> None:
    schema = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    conditions = schema["status"]["properties"]["conditions"]
    assert conditions["maxItems"] == len(ConditionType)
    assert "SenderKnown" in conditions["items"]["properties"]["type"]["enum"]


def test_it_is_judged_in_its_place_and_counts_for_ready() -> None:
    proxy = mail_proxy()
    status = judge(proxy, observe(proxy, GOOD))
    MailProxyStatus.model_validate(status)
    types = [found["type"] for found in status["conditions"]]
    assert types == [str(type_) for type_ in ConditionType]
    assert condition(status, "SenderKnown")["reason"] == "SenderFound"
    assert "sender" in condition(status, "Ready")["message"]


def test_its_failure_is_that_of_ready_and_an_event() -> None:
    proxy = mail_proxy(hostname="imap.example.com")
    status = judge(proxy, observe(proxy, GOOD))
    assert condition(status, "Ready")["reason"] == "SenderMissing"
    assert condition(status, "Ready")["message"] == "Nobody knows this sender. Rename it."
    notes = {(note.type, note.reason) for note in find_event_notes({}, status)}
    assert ("Warning", "SenderMissing") in notes
