from itertools import pairwise

from mailproxy.app.shell import MAX_LOGIN_DELAY, LoginPace, build_settings


def _logins(pace: LoginPace, times: int) -> list[float]:
    """Delays of logins that are refused at once."""
    now, delays = 1000.0, []
    for _ in range(times):
        delays.append(pace.next_delay(now))
        now += delays[-1]
    return delays


def test_the_first_login_and_one_after_a_quiet_hour_do_not_wait() -> None:
    pace = LoginPace()
    assert pace.next_delay(1000.0) == 0
    assert pace.next_delay(4600.0) == 0


def test_logins_that_are_refused_come_ever_more_seldom() -> None:
    delays = _logins(LoginPace(), 10)
    assert delays[:6] == [0, 1, 2, 4, 8, 16]
    assert all(earlier <= later for earlier, later in pairwise(delays))
    assert delays[-1] == MAX_LOGIN_DELAY


def test_kopf_writes_nothing_and_never_ends_its_own_watch() -> None:
    settings = build_settings()
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.watching.inactivity_timeout > 365 * 86400
    assert settings.watching.server_timeout is not None
    assert settings.watching.client_timeout is not None
    assert settings.watching.client_timeout > settings.watching.server_timeout
