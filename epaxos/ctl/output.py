"""How answers are printed: for people at a terminal, as plain lines, or as one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Protocol

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from epaxos.ctl.errors import one_line

__all__ = ["Counted", "Say", "print_fields", "print_json", "print_table", "progress", "size"]

UNITS = ("B", "kB", "MB", "GB", "TB")
BAR_COLUMNS = 20
MEASURED_COLUMNS = 1000
"""More columns than a table takes.  It is measured within them, as if the terminal were as wide."""


class Say(Protocol):
    """Changes what is shown of a progress."""

    def __call__(self, text: str, share: float | None = None) -> None:
        """From now on show `text`, and a bar when the share of the whole, from 0 to 1, is known."""


class Counted:
    """Shows how many bytes of a whole are done; `text` says of what."""

    def __init__(self, text: str, whole_bytes: int, say: Say) -> None:
        self._text = text
        self._whole_bytes = whole_bytes
        self._say = say
        self._bytes = 0

    def add(self, count: int) -> None:
        """`count` bytes more are done."""
        self._bytes += count
        done = f"{self._text}: {size(self._bytes)} of {size(self._whole_bytes)}"
        self._say(done, self._bytes / max(1, self._whole_bytes))


def size(size_bytes: int | None) -> str:
    """A number of bytes for people: `1.5 MB`; `-` when it is not known."""
    if size_bytes is None:
        return "-"
    value, unit = float(size_bytes), 0
    while value >= 999.95 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {UNITS[unit]}" if unit else f"{size_bytes} B"


def print_json(document: Any) -> None:
    """Print the document."""
    click.echo(json.dumps(document, indent=2))


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print names and values as two columns."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"{name:<{width}}  {one_line(value)}")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn by rich on a terminal, else as plain aligned lines.

    The first column and those whose cells are no numbers are aligned to the left.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    if _is_terminal(sys.stdout):
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for index, title in enumerate(head):
            is_left = _is_left(index, cells)
            table.add_column(title, justify="left" if is_left else "right", no_wrap=not is_left)
        for row in cells:
            table.add_row(*map(Text, row))
        console = Console(highlight=False)
        whole = console.measure(table, options=console.options.update(max_width=MEASURED_COLUMNS))
        if whole.maximum > console.width:
            table.padding = (0, 0, 0, 0)  # closer columns rather than shortened cells
        console.print(table)
        return
    widths = [max(len(row[index]) for row in (head, *cells)) for index in range(len(head))]
    for row in (list(head), *cells):
        line = "  ".join(
            cell.ljust(width) if _is_left(index, cells) else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        )
        click.echo(line.rstrip())


def _is_left(index: int, rows: Sequence[Sequence[str]]) -> bool:
    return index == 0 or not any(row[index][:1].isdecimal() for row in rows)


@contextmanager
def progress(text: str) -> Iterator[Say]:
    """Show on a terminal (stderr) that something goes on; what is yielded changes what is shown."""
    if not _is_terminal(sys.stderr):
        yield _say_nothing
        return
    with Console(stderr=True, highlight=False).status(Text(one_line(text))) as status:
        yield lambda changed, share=None: status.update(_shown(changed, share))


def _shown(text: str, share: float | None) -> RenderableType:
    line = Text(one_line(text))
    if share is None:
        return line
    both = Table.grid(padding=(0, 1))
    both.add_row(ProgressBar(total=1.0, completed=share, width=BAR_COLUMNS), line)
    return both


def _say_nothing(text: str, share: float | None = None) -> None:
    """Show nothing, because nobody watches."""


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and stream.isatty()
