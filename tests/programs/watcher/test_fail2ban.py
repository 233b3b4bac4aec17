"""How the watcher updates Fail2ban: by a file before it starts, by its client while it runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.controlplane.api import wait_for
from tests.programs.watcher.running import SECONDS, Watcher, running_watcher

# Stands in for Fail2ban's client: writes its commands to a file.
CLIENT = """\
if [[ $1 == status ]]; then
  printf 'Status\\n|- Number of jail:\\t2\\n`- Jail list:\\tdovecot, postfix\\n'
else
  cat >>"{commands}"
fi
"""


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with running_watcher() as watcher:
        watcher.fake("doveconf", "true")
        watcher.fake("fail2ban-client", CLIENT.format(commands=watcher.root / "commands"))
        folder = watcher.root / "etc/fail2ban"
        (folder / "jail.d").mkdir()
        (folder / "jail.conf").write_text("[DEFAULT]\n#ignoreip = 127.0.0.1/8 ::1\n[dovecot]\n")
        (folder / "jail.local").write_text("[DEFAULT]\nignoreip = 127.0.0.1/8\n")
        yield watcher


def add_jails(watcher: Watcher, name: str, text: str) -> None:
    (watcher.root / "etc/fail2ban/jail.d" / name).write_text(text)


def read_ignored(watcher: Watcher) -> dict[str, list[str]]:
    """Words of `ignoreip` by section, in the watcher's file, which Fail2ban reads last."""
    path = watcher.root / "etc/fail2ban/jail.d/zz-mailproxy.local"
    found, section = {}, ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line.startswith("ignoreip ="):
            found[section] = line.partition("=")[2].split()
    return found


def start_fail2ban(watcher: Watcher) -> Path:
    (watcher.root / "run/fail2ban/fail2ban.pid").write_text("1\n")
    return watcher.root / "commands"


def wait_for_commands(commands: Path, words: str) -> list[str]:
    wait_for(
        lambda: commands.exists() and words in commands.read_text(), SECONDS, words, interval=0.01
    )
    return commands.read_text().splitlines()


def test_file_adds_proxies_and_clients_to_what_was_set(watcher: Watcher) -> None:
    watcher.mount(["10.0.0.1", "fd00::1"], ["10.0.0.9"])
    watcher.run_once()
    assert read_ignored(watcher) == {"DEFAULT": ["127.0.0.1/8", "10.0.0.1", "fd00::1", "10.0.0.9"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[DEFAULT]\nignoreip = 1.1.1.1, 2.2.2.2\n", {"DEFAULT": ["1.1.1.1,", "2.2.2.2"]}),
        ("[DEFAULT]\nIgnoreIP: 1.1.1.1\n", {"DEFAULT": ["1.1.1.1"]}),
        (
            "[DEFAULT]\nignoreip = 1.1.1.1 ; mine\n # not 3.3.3.3\n\n  2.2.2.2\nbantime = 1\n 4\n",
            {"DEFAULT": ["1.1.1.1", "2.2.2.2"]},
        ),
        ("[DEFAULT]\nignoreip =\n", {"DEFAULT": []}),
        (
            "[postfix]\nignoreip = host.example\n",
            {"DEFAULT": ["127.0.0.1/8"], "postfix": ["host.example"]},
        ),
        ("[postfix]\nignoreip =\n", {"DEFAULT": ["127.0.0.1/8"], "postfix": []}),
        ("[postfix]\n#ignoreip = 1.1.1.1\nenabled = true", {"DEFAULT": ["127.0.0.1/8"]}),
        ("ignoreip = 1.1.1.1\n", {"DEFAULT": ["127.0.0.1/8"]}),
        (
            "[DEFAULT]\nignoreip = 1.1.1.1\n[postfix]\nignoreip = %(known/ignoreip)s 2.2.2.2\n",
            {"DEFAULT": ["1.1.1.1"], "postfix": ["1.1.1.1", "2.2.2.2"]},
        ),
        ("[DEFAULT]\nignoreip = %(mynet)s\nmynet = 1.1.1.1", {"DEFAULT": ["%(mynet)s"]}),
    ],
)
def test_what_the_user_has_set_stays_in_each_section(
    watcher: Watcher, text: str, expected: dict[str, list[str]]
) -> None:
    add_jails(watcher, "user-jail.local", text)
    watcher.mount(["10.0.0.1"])
    watcher.run_once()
    assert read_ignored(watcher) == {key: [*words, "10.0.0.1"] for key, words in expected.items()}


def test_last_of_several_files_counts_as_for_fail2ban(watcher: Watcher) -> None:
    add_jails(watcher, "b.conf", "[DEFAULT]\nignoreip = 2.2.2.2\n[postfix]\nignoreip = 3.3.3.3\n")
    add_jails(watcher, "a.local", "[postfix]\nignoreip = 4.4.4.4\n")
    watcher.mount([])
    watcher.run_once()
    assert read_ignored(watcher) == {"DEFAULT": ["127.0.0.1/8"], "postfix": ["4.4.4.4"]}


def test_running_fail2ban_is_updated_in_every_jail(watcher: Watcher) -> None:
    watcher.mount(["10.0.0.1"], ["10.0.0.9"])
    watcher.run_once()
    commands = start_fail2ban(watcher)
    watcher.start()
    watcher.mount(["10.0.0.2", "10.1.0.0/16"], ["10.0.0.9"])
    assert sorted(wait_for_commands(commands, "unban")) == [
        "set dovecot addignoreip 10.0.0.2 10.1.0.0/16",
        "set dovecot delignoreip 10.0.0.1",
        "set postfix addignoreip 10.0.0.2 10.1.0.0/16",
        "set postfix delignoreip 10.0.0.1",
        "unban 10.0.0.2",
    ]
    assert read_ignored(watcher)["DEFAULT"][1:] == ["10.0.0.2", "10.1.0.0/16", "10.0.0.9"]


def test_address_that_the_user_ignores_too_is_kept(watcher: Watcher) -> None:
    add_jails(watcher, "user-jail.local", "[postfix]\nignoreip = 192.0.2.1,10.0.0.1\n")
    watcher.mount(["10.0.0.1", "10.0.0.3"])
    watcher.run_once()
    commands = start_fail2ban(watcher)
    watcher.start()
    watcher.mount([])
    lines = wait_for_commands(commands, "set postfix delignoreip 10.0.0.3")
    assert not [line for line in lines if "10.0.0.1" in line]
    assert read_ignored(watcher)["postfix"] == ["192.0.2.1,10.0.0.1"]


def test_fail2ban_that_starts_later_gets_what_it_may_have_missed(watcher: Watcher) -> None:
    watcher.mount(["10.0.0.1"])
    watcher.run_once()
    watcher.start()
    watcher.mount(["10.0.0.2"])
    watcher.wait_for_line("10.0.0.2")
    commands = start_fail2ban(watcher)
    assert "set dovecot addignoreip 10.0.0.2" in wait_for_commands(commands, "unban 10.0.0.2")


def test_nothing_is_run_or_written_without_fail2ban(watcher: Watcher) -> None:
    (watcher.root / "etc/fail2ban/jail.conf").unlink()
    commands = start_fail2ban(watcher)
    watcher.mount(["10.0.0.1"])
    watcher.run_once()
    watcher.start()
    watcher.mount(["10.0.0.2"])
    watcher.wait_for_line("10.0.0.2")
    assert not list((watcher.root / "etc/fail2ban/jail.d").iterdir())
    assert not commands.exists()
