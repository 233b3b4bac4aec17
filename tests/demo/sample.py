"""Compares what the demo has printed, on standard input, with the sample of it in README.md."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
TIMES = re.compile(r"\b\d+(\.\d+)?( ms\b|[smh]\b)")  # `17.0 ms`, and the column AGE
ANYTHING = "..."


def main() -> int:
    """Return 1 if a line of the sample was not printed, in its order."""
    printed = iter(sys.stdin.read().splitlines())
    for line in read_sample(README.read_text()):
        pattern = re.compile(to_pattern(line))
        if not any(pattern.fullmatch(other) for other in printed):
            print(f"README.md shows a line that the demo does not print:\n{line}", file=sys.stderr)
            return 1
    return 0


def read_sample(text: str) -> list[str]:
    """Lines of the first block of text behind `make demo`."""
    block = text.partition("`make demo`")[2].partition("```text\n")[2].partition("```")[0]
    return [line for line in block.splitlines() if line]


def to_pattern(line: str) -> str:
    """A line with any time in the place of its times, and any text in the place of `...`."""
    parts = TIMES.sub("\0", line).replace(ANYTHING, "\1")
    pattern = re.escape(parts)
    return pattern.replace("\0", TIMES.pattern).replace("\1", ".*")


if __name__ == "__main__":
    sys.exit(main())
