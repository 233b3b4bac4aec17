"""What the status tells of the overrides while the user's files come, break and change."""

from tests.unit.diagnose.test_status import GOOD, status_of, told
from tests.unit.worlds import config_map_body, mail_proxy, remembering, selecting


def test_overrides_that_stay_while_the_users_files_are_refused_are_still_told() -> None:
    overrides = remembering(mail_proxy(), "")
    overrides["metadata"]["name"] = "mail-overrides"
    server = selecting(app="mail") | {"overridesFrom": "own"}
    good, bad = (config_map_body("own", data={"dovecot.cf": text}) for text in ("", "}"))
    before = status_of([good, overrides, *GOOD], mailServer=server)
    after = status_of([bad, overrides, *GOOD], previous=before, mailServer=server)
    assert told(after)["Accepted"] == told(after)["Ready"] == ("False", "OverridesInvalid")
    assert told(after)["RoutesReady"] == told(before)["RoutesReady"] == ("True", "Applied")
    assert after["overridesHash"] == before["overridesHash"]
    gone = status_of([bad, *GOOD], previous=before, mailServer=server)
    assert "overridesHash" not in gone


def test_overrides_hash_follows_the_users_files() -> None:
    server = selecting(app="mail") | {"overridesFrom": "own"}
    texts = ("", "# one\n", "# two\n")
    bodies = [config_map_body("own", data={"dovecot.cf": text}) for text in texts]
    hashes = {status_of([b, *GOOD], mailServer=server)["overridesHash"] for b in bodies}
    assert len(hashes) == 3
