"""A table of seeds and the digests of all events of their runs.

The digests have to be equal on every computer, Python version and hash seed, because the seed decides
everything.  After a change of behaviour `make digests` writes the table anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate

__all__ = ["RecordedRun", "digest_of", "read_digests", "write_digests"]


class RecordedRun(NamedTuple):
    """A plan, and the digest of its run."""

    seed: int
    profile: str
    n: int
    digest: str


def digest_of(seed: int, profile: str, n: int) -> str:
    """The digest of the run as the code is now."""
    return simulate(Plan.of(seed, n, profile), trace=True).digest


def _lines(text: str) -> Iterator[tuple[str, RecordedRun | None]]:
    """Each line with the run that it describes, None for a comment."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        recorded = RecordedRun(int(words[0]), words[1], int(words[2]), words[3]) if words else None
        yield line, recorded


def read_digests(file: Path) -> list[RecordedRun]:
    """The runs in the table."""
    return [recorded for _, recorded in _lines(file.read_text(encoding="utf-8")) if recorded is not None]


def write_digests(file: Path) -> None:
    """Write the table anew, with the same runs and comments."""
    lines = []
    for line, recorded in _lines(file.read_text(encoding="utf-8")):
        if recorded is not None:
            seed, profile, n, _ = recorded
            line = f"{seed} {profile} {n} {digest_of(seed, profile, n)}"
        lines.append(line + "\n")
    file.write_text("".join(lines), encoding="utf-8")
