"""A user's `user-patches.sh` before ours, run by bash: whatever it does, ours follows."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programs.mail_programs import find_program, private_postfix, privatize

from mailproxy.api.mail_services import Listeners, PortName, find_services
from mailproxy.plan.mail_server.overrides import render_overrides
from mailproxy.plan.user_files.merge import merge_overrides
from mailproxy.plan.user_files.text import GENERATED

OURS = '[[ $- == *h* ]] && echo "ours: $PWD $(umask) ${USERS-none} $(type -t echo)"\n'
FAILED = "mailproxy: user-patches.sh of ConfigMap own ended with status {}"

HOSTILE = [
    "exit 3",
    "exit 0",
    "set -euo pipefail\nfalse\n",
    "kill -9 $$",
    "return 5",
    "exec true",
    "exec >&- 2>&- <&-",
    "if then fi (",
    "echo 'never closed",
    'echo "never closed',
    "cat <<EOF\nnever closed",
    "cat <<'END_OF_USER_PATCHES_1'\nEND_OF_USER_PATCHES_1\nexit 4\n",
    "END_OF_USER_PATCHES_1\nEND_OF_USER_PATCHES_2\nexit 6\n",
    "true \\",
    "# } ) esac done fi",
    "echo() { :; }; export -f echo; USERS=x; export USERS; umask 777; cd /; set +h",
    "trap 'exit 9' EXIT DEBUG ERR\ntrue",
    'rm -f "$0"',
    "cat >/dev/null",
    "sleep 3 >/dev/null 2>&1 &",
    "function : { exit 1; }; alias echo=false; shopt -s expand_aliases; enable -n echo",
]


def merge_script(script: str, ours: str = OURS) -> str:
    return merge_overrides({"user-patches.sh": ours}, {"user-patches.sh": script}, "own")[
        "user-patches.sh"
    ]


def run(text: str, directory: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run as docker-mailserver does; written files go to `directory`."""
    path = directory / "merged.sh"
    path.write_text(privatize(text, directory, directory))
    environment = {"PATH": f"{directory}:/usr/sbin:/usr/bin:/bin", "TMPDIR": str(directory)}
    return subprocess.run(
        ["/bin/bash", str(path)],
        cwd=directory,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        umask=0o022,
    )


@pytest.mark.parametrize("script", HOSTILE)
def test_nothing_in_the_users_script_changes_or_ends_ours(script: str, tmp_path: Path) -> None:
    result = run(merge_script(script), tmp_path)
    assert result.stdout.splitlines()[-1] == f"ours: {tmp_path} 0022 none builtin"
    assert result.returncode == 0


def test_users_script_runs_first_as_if_it_were_alone(tmp_path: Path) -> None:
    script = 'read -r line\necho "$line $# ${UNSET} ${LC_ALL-none}" $-; echo $(basename "$0")'
    ours = render_overrides(Listeners.SEPARATE, find_services([PortName.IMAP]))["user-patches.sh"]
    result = run(merge_script(script, f"read -r line\necho $line\n{ours}"), tmp_path, "one\ntwo\n")
    alone = run(script, tmp_path, "one\n").stdout.replace("merged.sh", "user-patches.sh")
    assert result.stdout == f"{alone}two\n"


def test_failure_of_the_users_script_is_in_the_log(tmp_path: Path) -> None:
    assert run(merge_script("exit 3"), tmp_path).stderr.splitlines() == [FAILED.format(3)]
    assert run(merge_script("true"), tmp_path).stderr == ""


def test_script_that_cannot_be_written_is_in_the_log_and_ours_follows(tmp_path: Path) -> None:
    text = merge_script("echo users").replace("mktemp -d", "false")
    result = run(text, tmp_path)
    assert "ours: " in result.stdout
    assert "mailproxy: user-patches.sh of ConfigMap own cannot be written" in result.stderr


WORDS = ["<<'", "END_OF_USER_PATCHES_", "END_OF_USER_PATCHES_1\n", "fi", "{{ x }}", "{% if %}"]
pieces = st.sampled_from([*WORDS, *"'\"`$()\\\n #<12}é\t\u2028"])


@settings(max_examples=100)
@given(text=st.lists(pieces, max_size=20).map("".join))
def test_any_text_comes_to_bash_as_it_is_and_ours_follows(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    script = f"exit 7\n{text}"  # it is not to be run: it may be anything
    directory = tmp_path_factory.mktemp("any")
    result = run(merge_script(script), directory)
    assert result.stdout == f"ours: {directory} 0022 none builtin\n"
    assert result.stderr.splitlines() == [FAILED.format(7)]
    (written,) = directory.glob("tmp.*/user-patches.sh")
    assert written.read_text().removesuffix("\n") == script.removesuffix("\n")


def test_our_ports_are_added_after_the_users_changes_of_postfix() -> None:
    own = "postconf -P submission/inet/smtpd_helo_required=yes\nexit 1"
    ours = render_overrides(Listeners.SEPARATE, find_services(PortName))["user-patches.sh"]
    with private_postfix() as postfix:
        result = postfix.run_script(merge_script(own, ours))
        assert result.returncode == 0
        assert result.stderr.splitlines()[0] == FAILED.format(1)
        assert postfix.parameters("10587/inet")["10587/inet"]["smtpd_helo_required"] == "yes"


@pytest.mark.parametrize("program", ["bash -n", "shellcheck"])
@pytest.mark.parametrize("script", [None, "echo hello"])
@pytest.mark.parametrize("listeners", Listeners)
def test_merged_script_is_clean_shell(
    listeners: Listeners, script: str | None, program: str, tmp_path: Path
) -> None:
    ours = render_overrides(listeners, find_services(PortName))
    users = {"dovecot.cf": ""} | ({} if script is None else {"user-patches.sh": script})
    path = tmp_path / "user-patches.sh"
    path.write_text(merge_overrides(ours, users, "own")["user-patches.sh"])
    name, *options = program.split()
    result = subprocess.run(
        [find_program(name), *options, str(path)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("listeners", Listeners)
def test_every_file_that_we_make_says_so(listeners: Listeners) -> None:
    ours = render_overrides(listeners, find_services(PortName))
    for text in (*ours.values(), merge_script("true", "")):
        assert f"{GENERATED} from a MailProxy" in "\n".join(text.splitlines()[:2])
