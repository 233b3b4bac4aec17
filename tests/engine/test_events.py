import re

import pytest
from tests.engine.fault_server import hang_up, status

from mailproxy.kube.events import EventRecorder
from mailproxy.options import Options

MAIL = {
    "apiVersion": "mailproxy.dev/v1alpha1",
    "kind": "MailProxy",
    "namespace": "mail",
    "name": "mail",
    "uid": "u1",
}
OTHER = {**MAIL, "name": "other", "uid": "u2"}


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def recorder(client, now) -> EventRecorder:
    return EventRecorder(client, "mailproxy-7d9f-x", Options(), clock=lambda: now[0])


async def test_an_event_has_all_that_the_api_server_asks_for(server, recorder):
    await recorder.record(MAIL, "Warning", "EntryPointMissing", "no entryPoint for 993", "Observe")
    seen = server.requests[-1]
    assert seen.path == "/apis/events.k8s.io/v1/namespaces/mail/events"
    metadata, time = seen.body.pop("metadata"), seen.body.pop("eventTime")
    assert re.fullmatch(r"mail\.[0-9a-f]{16}", metadata["name"])
    assert metadata["namespace"] == "mail"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time)
    assert seen.body == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "reportingController": "mailproxy.dev/operator",
        "reportingInstance": "mailproxy-7d9f-x",
        "regarding": MAIL,
        "type": "Warning",
        "reason": "EntryPointMissing",
        "note": "no entryPoint for 993",
        "action": "Observe",
    }


async def test_a_note_is_cut_to_what_the_api_server_takes_between_characters(server, recorder):
    await recorder.record(MAIL, "Normal", "Reason", "x" + "ä" * 600, "Act")
    assert server.requests[-1].body["note"] == "x" + "ä" * 511


async def test_the_name_of_an_event_is_valid_however_long_the_objects_is(server, recorder):
    regarding = {**MAIL, "name": "a" * 199 + "." + "b" * 53}
    await recorder.record(regarding, "Normal", "Reason", "note", "Act")
    assert re.fullmatch(r"a{199}\.[0-9a-f]{16}", server.requests[-1].body["metadata"]["name"])


async def test_no_two_events_have_the_same_name(server, recorder):
    for _ in range(5):
        await recorder.record(MAIL, "Normal", "Reason", "note", "Act")
    assert len({seen.body["metadata"]["name"] for seen in server.requests}) == 5


async def test_events_about_one_object_are_bounded_and_others_go_on(server, recorder, now):
    for _ in range(40):
        await recorder.record(MAIL, "Normal", "Reason", "note", "Act")
    assert server.count("create") == 25
    await recorder.record(OTHER, "Normal", "Reason", "note", "Act")
    assert server.count("create") == 26
    now[0] = 600.0
    for _ in range(5):
        await recorder.record(MAIL, "Normal", "Reason", "note", "Act")
    assert server.count("create") == 28


async def test_burst_and_refill_are_those_of_the_options(server, client, now):
    options = Options(event_burst=2, event_refill_seconds=10)
    recorder = EventRecorder(client, "mailproxy-7d9f-x", options, clock=lambda: now[0])
    for seconds, count in ((0, 2), (9, 2), (10, 3), (100, 5)):
        now[0] = seconds
        for _ in range(4):
            await recorder.record(MAIL, "Normal", "Reason", "note", "Act")
        assert server.count("create") == count


@pytest.mark.parametrize("fault", [status(403, "cannot create"), status(500), hang_up])
async def test_an_event_that_cannot_be_recorded_is_logged_and_dropped(
    server, recorder, caplog, fault
):
    server.fail("create", fault)
    await recorder.record(MAIL, "Normal", "Reason", "note", "Act")
    assert server.count("create") == 1
    assert "event lost" in caplog.text
