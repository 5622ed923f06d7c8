"""What a measurement found, as values that JSON can hold: rows with goals, tables, plots, settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Plot", "Result", "Row", "Table"]


@dataclass
class Row:
    """One line of the table of ratios: our figure, theirs, what one is of the other, and the goal.

    `figure` and `reference` are medians, `ratio` is the median of the ratios of the alternating runs.
    """

    work: str
    against: str
    unit: str
    figure: float
    reference: float
    ratio: float
    goal: float
    at_most: bool = False
    runs: list[list[float]] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        """Whether the ratio is what it should be."""
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal


@dataclass
class Table:
    """Figures that have no goal."""

    title: str
    head: list[str]
    lines: list[list[str]] = field(default_factory=list)


@dataclass
class Plot:
    """Bars in groups: for each series one value a group (None where there is none)."""

    name: str
    title: str
    unit: str
    groups: list[str]
    series: dict[str, list[float | None]]


@dataclass
class Result:
    """All that one section of the bench found."""

    title: str
    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    date: str = ""
    quick: bool = False
    busy: float | None = None
    """The load average of the machine before the measurement: what others made of it."""

    def as_json(self) -> dict[str, Any]:
        """For `json.dump`."""
        return asdict(self)

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Result:
        """See `as_json`."""
        parts = {
            "rows": [Row(**row) for row in data["rows"]],
            "tables": [Table(**table) for table in data["tables"]],
            "plots": [Plot(**plot) for plot in data["plots"]],
        }
        return cls(**{**data, **parts})
