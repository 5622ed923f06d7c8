"""A picture of a cluster for a terminal of any width.  Pure: it knows the answers of the members alone.

Colours repeat what the words say, because a terminal may have none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.text import Text

from epaxos.ctl.behind import behind_in
from epaxos.ctl.errors import one_line
from epaxos.ctl.health.figures import bar, byte_count, count, seconds, share, spark
from epaxos.ctl.health.reading import number_in, ups_in, value_in, warnings_in
from epaxos.ctl.health.values import ERROR, Finding
from epaxos.ctl.members import HERE, Answer

__all__ = ["View", "executed", "frame", "received", "state_of"]

WIDTH_LEAST = 20
BAR_COLUMNS = 20
GAP = "  "
WARNINGS_SHOWN = 5
ROWS_FOR_WARNINGS = 2
"""An empty row, and that of their title; without rows left below them, no warning is shown."""
GOOD, BAD, QUIET, HEAD = "green", "red", "dim", "bold"


class View(NamedTuple):
    """What is shown, and on what.

    `found`: what is wrong.  `totals`: commands of clients a second, of all members together, the newest last.
    `rows`: those of the terminal; None for no bound.  `draws`: whether it has characters for a curve.
    `width`: its columns.
    """

    answers: Sequence[Answer]
    found: Sequence[Finding]
    width: int
    rows: int | None = None
    totals: Sequence[float] = ()
    draws: bool = False


class _Column(NamedTuple):
    """A column of the table.  `rank`: those with the highest one are left out first on a narrow terminal."""

    title: str
    rank: int
    cell: Callable[[Answer, Sequence[Answer]], str]


def _second(name: str, shown: Callable[[float | None], str]) -> Callable[[Answer, Sequence[Answer]], str]:
    return lambda answer, _: shown(number_in(answer, f"last_second.{name}"))


def _at(path: str, shown: Callable[[float | None], str]) -> Callable[[Answer, Sequence[Answer]], str]:
    return lambda answer, _: shown(number_in(answer, path))


def state_of(answer: Answer, answers: Sequence[Answer]) -> str:
    """`here`, `up`, `down`, or `not asked` for one that others see up."""
    if answer.error is None:
        return "here" if answer.member.state == HERE else "up"
    is_seen = any(answer.member.number in (ups_in(other) or ()) for other in answers)
    return "not asked" if is_seen else "down"


def _sees(answer: Answer, answers: Sequence[Answer]) -> str:
    """The members that it sees; a `-` for one that it does not see."""
    ups = ups_in(answer)
    if ups is None:
        return "?"
    return " ".join(
        str(each.member.number) if each.member.number in ups else "-" * len(str(each.member.number))
        for each in answers
    )


def _number(answer: Answer, _: Sequence[Answer]) -> str:
    return str(answer.member.number)


def _lag(answer: Answer, _: Sequence[Answer]) -> str:
    return count(answer.lag)


COLUMNS = (
    _Column("id", 0, _number),
    _Column("state", 0, state_of),
    _Column("sees", 1, _sees),
    _Column("cmd/s", 2, _second("received", count)),
    _Column("exec/s", 5, _second("executed", count)),
    _Column("p50", 3, _second("p50_s", seconds)),
    _Column("p99", 2, _second("p99_s", seconds)),
    _Column("fast", 4, _second("fast", share)),
    _Column("disk p99", 6, _second("disk_p99_s", seconds)),
    _Column("written/s", 10, _second("written_bytes", byte_count)),
    _Column("lag", 7, _lag),
    _Column("held", 8, _at("counters.instances_held", count)),
    _Column("clients", 9, _at("clients.connected", count)),
    _Column("memory", 11, _at("host.memory_bytes", byte_count)),
    _Column("late p99", 12, _second("late_p99_s", seconds)),
)


def received(answers: Sequence[Answer]) -> float:
    """Commands of clients in the last second, of all members together."""
    return sum(number_in(answer, "last_second.received") or 0 for answer in answers)


def executed(answers: Sequence[Answer]) -> float:
    """Commands executed in the last second, at the member that has executed the most."""
    return max((number_in(answer, "last_second.executed") or 0 for answer in answers), default=0)


def frame(view: View) -> list[Text]:
    """The lines, none of them longer than the terminal is wide."""
    lines = [*_head(view), Text(), *_table(view), *_progress(view), *_wrong(view)]
    left = len(lines) + WARNINGS_SHOWN + ROWS_FOR_WARNINGS if view.rows is None else view.rows
    lines += _warnings(view, left - len(lines))
    for line in lines:
        line.truncate(max(WIDTH_LEAST, view.width), overflow="ellipsis" if view.draws else "crop")
    return lines[: view.rows]


def _head(view: View) -> Iterator[Text]:
    reached = [answer for answer in view.answers if answer.error is None]
    cluster = next((name for each in reached if (name := value_in(each, "cluster"))), "-")
    up = sum(state_of(answer, view.answers) != "down" for answer in view.answers)
    words = [f"cluster {one_line(str(cluster))}", f"{up} of {len(view.answers)} up"]
    if reached:
        newest = max(reached, key=lambda answer: answer.epoch or 0)
        words.append(f"epoch {newest.epoch}, version {newest.version}")
    yield Text(", ".join(words), HEAD)
    line = f"{count(received(view.answers))} commands/s, {count(executed(view.answers))} executed/s"
    room = view.width - len(line) - len(GAP)
    curve = spark(view.totals, room) if view.draws and len(view.totals) > 1 else ""
    yield Text(f"{line}{GAP}{curve}".rstrip())


def _table(view: View) -> Iterator[Text]:
    """As many columns as fit."""
    cells = {
        column: [column.title, *(column.cell(answer, view.answers) for answer in view.answers)]
        for column in COLUMNS
    }
    widths = {column: max(map(len, texts)) for column, texts in cells.items()}
    shown = list(COLUMNS)
    while sum(widths[each] + len(GAP) for each in shown) - len(GAP) > view.width:
        least = max(shown, key=lambda each: each.rank)
        if not least.rank:
            break
        shown.remove(least)
    for row in range(len(view.answers) + 1):
        line = Text(style=HEAD if row == 0 else "")
        for column in shown:
            text, width = cells[column][row], widths[column]
            is_left = column.title in {"id", "state", "sees"}
            line.append(text.ljust(width) if is_left else text.rjust(width), _style(column, text))
            line.append(GAP)
        line.rstrip()
        yield line


def _style(column: _Column, text: str) -> str:
    if column.title == "state" and text != column.title:
        return GOOD if text in {"here", "up"} else BAD
    return BAD if column.title == "sees" and "-" in text else ""


def _progress(view: View) -> Iterator[Text]:
    """Who takes a state, and how far it is; who is in an earlier epoch; which turn goes on."""
    for answer in view.answers:
        if answer.error is not None:
            continue
        number, behind = answer.member.number, behind_in(answer.status)
        unsettled_s = number_in(answer, "program.unsettled_s") or 0
        if behind is not None:
            yield Text(f"replica {number} {bar(behind.share, BAR_COLUMNS)} {behind}")
        elif answer.epoch is not None and answer.epoch < answer.newest_epoch:
            yield Text(f"replica {number} is in epoch {answer.epoch}, and follows to {answer.newest_epoch}")
        elif unsettled_s and answer.member.state == HERE:
            there = sum(other.epoch == answer.epoch for other in view.answers)
            whole = max(1, len(view.answers))
            shown = bar(there / whole, BAR_COLUMNS)
            yield Text(
                f"turn to epoch {answer.epoch} {shown} {there} of {whole} are there, {unsettled_s:.0f} s"
            )


def _wrong(view: View) -> Iterator[Text]:
    if view.found:
        yield Text()
        yield Text("wrong, and what to do: epaxosctl doctor", HEAD)
    for finding in view.found:
        yield Text(one_line(finding.what), BAD if finding.severity == ERROR else "")


def _warnings(view: View, rows: int) -> Iterator[Text]:
    """The newest warnings of all logs, in at most so many rows."""
    told = sorted(
        (
            (time_ms, answer.member.number, level, text)
            for answer in view.answers
            for time_ms, level, text in warnings_in(answer)
        ),
        reverse=True,
    )
    if not told or rows <= ROWS_FOR_WARNINGS:
        return
    yield Text()
    yield Text("last warnings", HEAD)
    for time_ms, number, level, text in told[: min(WARNINGS_SHOWN, rows - ROWS_FOR_WARNINGS)]:
        moment = time.strftime("%H:%M:%S", time.localtime(time_ms / 1000))
        line = Text(moment, QUIET)
        line.append(f" replica {number} {one_line(level)}: {one_line(text)}", "")
        yield line
