from dataclasses import replace
from itertools import pairwise

from mailproxy.app.shell import LoginPace, build_settings
from mailproxy.options import Options

MAX_DELAY = Options().login_max_delay_seconds


def _logins(pace: LoginPace, times: int) -> list[float]:
    """Delays of logins that are refused at once."""
    now, delays = 1000.0, []
    for _ in range(times):
        delays.append(pace.next_delay(now))
        now += delays[-1]
    return delays


def test_the_first_login_and_one_after_a_quiet_hour_do_not_wait() -> None:
    pace = LoginPace(MAX_DELAY)
    assert pace.next_delay(1000.0) == 0
    assert pace.next_delay(4600.0) == 0


def test_logins_that_are_refused_come_ever_more_seldom() -> None:
    delays = _logins(LoginPace(MAX_DELAY), 10)
    assert delays[:6] == [0, 1, 2, 4, 8, 16]
    assert all(earlier <= later for earlier, later in pairwise(delays))
    assert delays[-1] == MAX_DELAY


def test_kopf_writes_nothing_and_never_ends_its_own_watch() -> None:
    settings = build_settings(Options())
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.watching.inactivity_timeout > 365 * 86400
    assert settings.watching.server_timeout is not None
    assert settings.watching.client_timeout is not None
    assert settings.watching.client_timeout > settings.watching.server_timeout


def test_kopf_waits_as_long_as_the_options_say() -> None:
    options = replace(
        Options(), watch_min_seconds=7, watch_max_seconds=7, request_seconds=3, exit_seconds=5
    )
    settings = build_settings(options)
    assert settings.watching.server_timeout == 7
    assert settings.watching.connect_timeout == 3
    assert settings.networking.connect_timeout == 3
    assert settings.process.ultimate_exiting_timeout == 5
