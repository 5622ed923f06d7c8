"""Figures as people read them.  What is not known is a `-`."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.ctl.output import size

__all__ = ["bar", "byte_count", "count", "seconds", "share", "spark"]

STEPS = " ▁▂▃▄▅▆▇█"


def count(value: float | None) -> str:
    """A number of things: `7`, `12.3 k`, `1.2 M`."""
    if value is None:
        return "-"
    if value >= 1e6:
        return f"{value / 1e6:.1f} M"
    return f"{value / 1e3:.1f} k" if value >= 1e4 else f"{value:.0f}"


def seconds(value: float | None) -> str:
    """A time: `1.2 s`, `45 ms`, `3.4 ms`, `0.56 ms`."""
    if value is None:
        return "-"
    if value >= 1:
        return f"{value:.1f} s"
    digits = 0 if value >= 0.01 else 1 if value >= 0.001 else 2
    return f"{1000 * value:.{digits}f} ms"


def share(value: float | None) -> str:
    """A share of the whole, from 0 to 1, as a percentage; 100 % is all of it."""
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if 0.99 < value < 1 else f"{100 * value:.0f} %"


def byte_count(value: float | None) -> str:
    """A number of bytes."""
    return size(None if value is None else int(value))


def bar(value: float, columns: int) -> str:
    """A bar of so many columns, filled by a share from 0 to 1."""
    filled = round(columns * min(1.0, max(0.0, value)))
    return f"[{'#' * filled}{'.' * (columns - filled)}]"


def spark(values: Sequence[float], columns: int) -> str:
    """The last values, a column for each, as high as they are beside the highest of them."""
    shown = values[-columns:] if columns > 0 else ()
    highest = max(shown, default=0) or 1
    return "".join(STEPS[max(0, min(8, round(8 * value / highest)))] for value in shown)
