"""Every option is an argument of `mailproxy run`, with its default and its help."""

import argparse
import dataclasses
import re
from typing import Any

import pytest

from mailproxy.app import operator
from mailproxy.cli import run
from mailproxy.cli.main import main
from mailproxy.options import Options

FIELDS = {field.name: field for field in dataclasses.fields(Options)}
COUNTS = [name for name, field in FIELDS.items() if isinstance(field.default, int)]
LISTS = [name for name, field in FIELDS.items() if isinstance(field.default, tuple)]
NUMBERS = [name for name in FIELDS if name not in (*COUNTS, *LISTS)]

# What each kind of option refuses.
NO_NUMBERS = ["", "x", "-1", "0", "nan", "inf", "1s"]
BAD = [
    *((name, text) for name in COUNTS for text in (*NO_NUMBERS, "1.5")),
    *((name, text) for name in NUMBERS for text in (*NO_NUMBERS, "1,2")),
    *((name, text) for name in LISTS for text in (*NO_NUMBERS, "1,,2", "1,0", "1,x", ",")),
]


def argument(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def run_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[operator.Launch, Options]:
    """What `mailproxy run` would run."""
    started: list[tuple[operator.Launch, Options]] = []

    async def start(launch: operator.Launch, options: Options) -> None:
        started.append((launch, options))

    monkeypatch.setattr(operator, "run_operator", start)
    assert main(["run", *arguments]) == 0
    (only,) = started
    return only


@pytest.fixture(scope="module")
def actions() -> dict[str, argparse.Action]:
    """Arguments of the subcommand, by the names of their values."""
    commands = argparse.ArgumentParser().add_subparsers()
    run.add_parser(commands)
    (parser,) = commands.choices.values()
    return {action.dest: action for action in parser._actions}


def test_every_kind_of_option_is_tested() -> None:
    assert {type(field.default) for field in FIELDS.values()} == {int, float, tuple}
    assert all((COUNTS, LISTS, NUMBERS))


@pytest.mark.parametrize("name", FIELDS)
def test_option_is_an_argument_with_its_default_and_its_help(
    name: str, actions: dict[str, argparse.Action]
) -> None:
    action, default = actions[name], FIELDS[name].default
    assert action.option_strings == [argument(name)]
    assert action.default == default
    text = FIELDS[name].metadata["help"]
    assert re.fullmatch(r"[a-z].*[^.\s]", text)
    shown = default if isinstance(default, tuple) else (default,)
    assert action.help == f"{text} (default {','.join(f'{value:g}' for value in shown)})"


def test_help_names_every_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert [name for name in FIELDS if f"  {argument(name)} N" not in shown] == []
    assert "Durations are in seconds" in shown


def test_options_without_arguments_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "mailproxy-7d9f-x")
    launch, options = run_with(monkeypatch)
    assert options == Options()
    assert launch == operator.Launch(None, None, port=8080, instance="mailproxy-7d9f-x")


@pytest.mark.parametrize("name", FIELDS)
def test_argument_sets_its_option_and_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = FIELDS[name].default
    text, value = {int: ("7", 7), float: ("0.07", 0.07), tuple: ("7,0.5", (7.0, 0.5))}[
        type(default)
    ]
    _, options = run_with(monkeypatch, argument(name), text)
    changes: dict[str, Any] = {name: value}
    assert options == dataclasses.replace(Options(), **changes)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_bad_value_is_refused(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(operator, "run_operator", None)  # it must not come to that
    with pytest.raises(SystemExit) as refused:
        main(["run", f"{argument(name)}={text}"])
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert f"argument {argument(name)}: " in said
    assert "_parse" not in said


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["--workers"], ["stray"]])
def test_bad_argument_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["run", *arguments])
    assert refused.value.code == 2
