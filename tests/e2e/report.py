"""The table at the end of a run: the client in the server's log, for each port and mode."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, fields

import pytest

MAX_LINE = 120
_PROGRAM = re.compile(r"\b(?:postfix|imap-login|pop3-login|managesieve-login)\b")


@dataclass(frozen=True, order=True)
class Proof:
    """A client that used a mail service, and the line of the log that shows its address.

    Attributes:
        mode: `Separate` or `Shared`, and the special feature of the way.
        family: `IPv4` or `IPv6`.
        client: The address in the log.
    """

    port: int
    service: str
    mode: str
    dovecot: str
    family: str
    client: str
    line: str


@dataclass
class Report:
    """Collects proofs and other notes while tests run."""

    proofs: list[Proof] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def add(self, proof: Proof) -> None:
        """Add a proof; duplicates are printed once."""
        self.proofs.append(proof)

    def write(self, terminal: pytest.TerminalReporter) -> None:
        """Print the table and the notes; for `pytest_terminal_summary`."""
        if self.proofs:
            terminal.section("client addresses in the mail server's log")
            for line in render(self.proofs):
                terminal.write_line(line)
        if self.notes:
            terminal.section("notes")
            for line in sorted(self.notes):
                terminal.write_line(line)


REPORT = pytest.StashKey[Report]()


def render(proofs: Iterable[Proof]) -> list[str]:
    """Lines of a table: sorted, each row once, columns aligned."""
    head = tuple(f.name.upper() for f in fields(Proof))
    rows = [tuple(map(str, astuple(proof))) for proof in sorted(set(proofs))]
    rows = [(*row[:-1], _shorten(row[-1])) for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [_align(row, widths) for row in [head, *rows]]


def _align(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shorten(line: str) -> str:
    """Without the date and the host before the program's name, and without a long end."""
    found = _PROGRAM.search(line)
    line = line[found.start() :] if found else line
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 3]}..."
