"""What the status says of the overrides while the user's files come, break and change."""

from tests.unit.diagnose.test_status import GOOD, conditions_of, status_of
from tests.unit.worlds import child_body, config_map_body, mail_proxy, selecting


def test_overrides_that_stay_while_the_users_files_are_refused_are_still_reported() -> None:
    overrides = child_body(mail_proxy(), "ConfigMap", "mail-overrides")
    server = selecting(app="mail") | {"overridesFrom": "own"}
    good, bad = (config_map_body("own", data={"dovecot.cf": text}) for text in ("", "}"))
    before = status_of([good, overrides, *GOOD], mailServer=server)
    after = status_of([bad, overrides, *GOOD], previous=before, mailServer=server)
    assert (
        conditions_of(after)["Accepted"]
        == conditions_of(after)["Ready"]
        == ("False", "OverridesInvalid")
    )
    assert (
        conditions_of(after)["RoutesReady"]
        == conditions_of(before)["RoutesReady"]
        == ("True", "Applied")
    )
    assert after["overridesHash"] == before["overridesHash"]
    gone = status_of([bad, *GOOD], previous=before, mailServer=server)
    assert "overridesHash" not in gone


def test_overrides_hash_follows_the_users_files() -> None:
    server = selecting(app="mail") | {"overridesFrom": "own"}
    texts = ("", "# one\n", "# two\n")
    bodies = [config_map_body("own", data={"dovecot.cf": text}) for text in texts]
    hashes = {status_of([b, *GOOD], mailServer=server)["overridesHash"] for b in bodies}
    assert len(hashes) == 3
