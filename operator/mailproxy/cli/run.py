"""`mailproxy run`: the operator."""

import argparse
import asyncio
import dataclasses
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from mailproxy.options import Options

Number = TypeVar("Number", int, float)


HIGHEST_PORT = 65535


def add_parser(commands: Any) -> None:
    """Add the subcommand to the command line; each field of Options is an argument."""
    parser = commands.add_parser(
        "run",
        help="run the operator until SIGTERM",
        description="Durations are in seconds, above 0.",
    )
    parser.add_argument("--kubeconfig", help="file to use instead of the pod's service account")
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("--port", type=_parse_port, default=8080, help="health port (default 8080)")
    tuning = parser.add_argument_group("tuning")
    for field in dataclasses.fields(Options):
        tuning.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_find_parser(field.default),
            default=field.default,
            metavar="N,..." if isinstance(field.default, tuple) else "N",
            help=f"{field.metadata['help']} (default {_format(field.default)})",
        )
    parser.set_defaults(execute=_execute)


def _find_parser(default: Any) -> Callable[[str], Any]:
    if isinstance(default, tuple):
        return _parse_numbers
    return _parse_count if isinstance(default, int) and default is not True else _parse_number


def _parse_port(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"`{text}` is no port: name one from 0 to {HIGHEST_PORT}")
    return int(text)


def _parse_number(text: str) -> float:
    return _require(text, float, "a number above 0")


def _parse_count(text: str) -> int:
    return _require(text, int, "a whole number above 0")


def _parse_numbers(text: str) -> tuple[float, ...]:
    return tuple(_parse_number(part) for part in text.split(","))


def _require(text: str, kind: Callable[[str], Number], what: str) -> Number:
    """The number in `text`; 0 would be a division by it, or a loop without a pause."""
    try:
        number = kind(text)
    except ValueError:
        number = kind("0")
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"`{text}` must be {what}")
    return number


def _format(value: Any) -> str:
    return ",".join(f"{n:g}" for n in value) if isinstance(value, tuple) else f"{value:g}"


def _execute(given: argparse.Namespace) -> int:
    # Imported here: kopf and the client take half a second, which other commands need not wait for.
    from mailproxy.app.operator import Launch, run_operator
    from mailproxy.kube.credentials import ConfigError

    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    options = Options(**{f.name: getattr(given, f.name) for f in dataclasses.fields(Options)})
    launch = Launch(
        kubeconfig=given.kubeconfig,
        context=given.context,
        port=given.port,
        instance=os.environ.get("POD_NAME") or socket.gethostname(),
    )
    try:
        asyncio.run(run_operator(launch, options))
    except ConfigError as error:
        print(f"mailproxy: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
