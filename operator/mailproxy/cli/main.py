"""The `mailproxy` command."""

import argparse

from mailproxy import __version__
from mailproxy.cli import crd, run


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="mailproxy",
        description="A mail server behind a TCP proxy that preserves every client's address.",
    )
    parser.add_argument("--version", action="version", version=f"mailproxy {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (run, crd):
        command.add_parser(commands)
    given = parser.parse_args(arguments)
    return int(given.execute(given))
