"""The results for people: a table in the terminal, and Markdown for the pages of docs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bench.plots import svg
from tests.bench.results import Result, Row

__all__ = ["BEGIN", "END", "insert", "markdown", "summary", "table", "write_plots"]

BEGIN = "<!-- bench: written by `make bench`, begin -->"
END = "<!-- bench: end -->"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _cells(row: Row) -> list[str]:
    goal = f"{'at most' if row.at_most else 'at least'} {row.goal:.3g}"
    reached = "yes" if row.reached else "**no**"
    figure, reference = (f"{_figure(value)} {row.unit}" for value in (row.figure, row.reference))
    return [row.work, row.against, figure, reference, f"{row.ratio:.2f}", goal, reached]


HEAD = ["work", "against", "ours", "theirs", "ratio", "goal", "reached"]


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table, aligned, which is Markdown too."""
    lines = list(lines)
    widths = [max(map(len, column)) for column in zip(head, *lines)]
    rule = ["-" * max(3, width) for width in widths]

    def shown(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"

    return "\n".join(map(shown, [head, rule, *lines]))


def _ratios(results: Iterable[Result]) -> str:
    rows = [_cells(row) for result in results for row in result.rows]
    return table(HEAD, rows) if rows else "(nothing with a goal was measured)"


def summary(results: Sequence[Result], machine: str) -> str:
    """The ratios that have a goal."""
    return f"Measured on {machine}\n\n{_ratios(results)}\n"


def markdown(results: Sequence[Result], machine: str, plots_at: str) -> str:
    """Everything, for a page from which `plots_at` leads to the plots."""
    parts = [summary(results, machine).rstrip()]
    for result in results:
        how = ", quick" if result.quick else ""
        if result.busy is not None:
            how += f", load average before it {result.busy:.1f}"
        parts.append(f"### {result.title}\n\n{result.date}{how}. {' '.join(result.settings)}".rstrip())
        if result.missing:
            parts.append(f"Not installed, so not measured: {', '.join(result.missing)}.")
        parts += [f"{found.title}:\n\n{table(found.head, found.lines)}" for found in result.tables]
        parts += [f"![{plot.title}]({plots_at}/{plot.name}.svg)" for plot in result.plots]
    return "\n\n".join(parts) + "\n"


def write_plots(results: Iterable[Result], folder: Path) -> None:
    """Each plot as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        for plot in result.plots:
            (folder / f"{plot.name}.svg").write_text(svg(plot))


def insert(page: Path, text: str) -> None:
    """Put the text between the marks of the page.  Raises ValueError when they are not there."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
