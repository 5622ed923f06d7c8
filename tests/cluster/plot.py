"""Draws a long run as SVG: throughput, latency, memory, disk and faults over time."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["plot"]

WIDTH = 1000
LEFT, RIGHT = 118, 16
PANEL = 116
GAP = 34
ROW = 15
COLOURS = ("#1f6fb4", "#d9541e", "#3a923a", "#8b5bb5", "#a8791c", "#c2438c", "#4d4d4d")

Line = Sequence[float | None]


def _nice(highest: float) -> float:
    """A round number at or above `highest`."""
    step = 1.0
    while step * 10 <= highest:
        step *= 10
    return next((step * factor for factor in (1, 2, 3, 4, 5, 6, 8, 10) if step * factor >= highest), step)


class _Picture:
    """Panels from top to bottom, with the same axis of time."""

    def __init__(self, duration_s: float) -> None:
        self._duration_s = max(duration_s, 1.0)
        self._parts: list[str] = []
        self.y = 0.0

    def x(self, moment_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, moment_s / self._duration_s))

    def add(self, part: str) -> None:
        self._parts.append(part)

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>')

    def title(self, title: str, subtitle: str) -> None:
        self.text(16, 26, title, 'font-size="17" font-weight="600"')
        self.text(16, 46, subtitle, 'fill="#555"')
        self.y = 66

    def panel(self, title: str, unit: str, times: Sequence[float], lines: dict[str, Line]) -> None:
        """Lines over `times`; None is a gap."""
        top, bottom = self.y + 18, self.y + 18 + PANEL
        highest = max((value for line in lines.values() for value in line if value is not None), default=1.0)
        scale = _nice(max(highest, 0.001))
        self.text(LEFT, self.y + 10, title, 'font-weight="600"')
        self._legend(list(lines) if len(lines) > 1 else [])
        for share in (0, 0.5, 1):
            y = bottom - PANEL * share
            self.add(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            self.text(LEFT - 8, y + 4, f"{scale * share:g} {unit}", 'text-anchor="end" fill="#555"')
        for colour, line in zip(COLOURS, lines.values()):
            path = self._path(times, line, bottom, scale)
            self.add(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        self.y = top + PANEL + GAP - 18

    def _legend(self, names: Sequence[str]) -> None:
        x = WIDTH - RIGHT
        for colour, name in reversed(list(zip(COLOURS, names))):
            x -= 7 * len(name) + 22
            self.add(f'<path d="M{x} {self.y + 6}h14" stroke="{colour}" stroke-width="3"/>')
            self.text(x + 18, self.y + 10, name, 'fill="#555"')

    def _path(self, times: Sequence[float], line: Line, bottom: float, scale: float) -> str:
        path = []
        pen_down = False
        for moment, value in zip(times, line):
            if value is not None:
                y = bottom - PANEL * value / scale
                path.append(f"{'L' if pen_down else 'M'}{self.x(moment):.1f} {y:.1f}")
            pen_down = value is not None
        return "".join(path)

    def rows(self, title: str, rows: dict[str, list[tuple[float, float]]]) -> None:
        """One row for each name, with a bar for each period (from, to)."""
        self.text(LEFT, self.y + 10, title, 'font-weight="600"')
        self.y += 18
        for number, (name, bars) in enumerate(rows.items()):
            y = self.y + ROW * number
            self.add(f'<path d="M{LEFT} {y + ROW - 2:.1f}H{WIDTH - RIGHT}" stroke="#eee"/>')
            self.text(LEFT - 8, y + 11, f"{name} · {len(bars)}", 'text-anchor="end" fill="#555"')
            colour = COLOURS[number % len(COLOURS)]
            path = "".join(
                f"M{self.x(begin):.1f} {y + 2:.1f}h{max(1.2, self.x(end) - self.x(begin)):.1f}v9"
                f"H{self.x(begin):.1f}z"
                for begin, end in bars
            )
            self.add(f'<path d="{path}" fill="{colour}" fill-opacity="0.75"/>')
        self.y += ROW * len(rows) + 4

    def time_axis(self) -> None:
        unit, name = (3600, "h") if self._duration_s > 3 * 3600 else (60, "min")
        if self._duration_s < 180:
            unit, name = 1, "s"
        step = _nice(self._duration_s / unit / 8)
        moment = 0.0
        while moment * unit <= self._duration_s * 1.001:
            x = self.x(moment * unit)
            self.add(f'<path d="M{x:.1f} 66V{self.y:.1f}" stroke="#000" stroke-opacity="0.06"/>')
            self.text(x, self.y + 14, f"{moment:g} {name}", 'text-anchor="middle" fill="#555"')
            moment += step
        self.y += 26

    def svg(self) -> str:
        body = "\n".join(self._parts)
        size = f'width="{WIDTH}" height="{self.y:.0f}" viewBox="0 0 {WIDTH} {self.y:.0f}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}'
            ' font-family="Helvetica, Arial, sans-serif" font-size="12">\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
        )


def plot(summary: dict[str, Any]) -> str:
    """The picture of the summary of a long run."""
    samples = summary["samples"]
    times = [sample["at_s"] for sample in samples]
    picture = _Picture(summary["duration_s"])
    picture.title(
        f"{summary['n']} replicas, {summary['transport']}, seed {summary['seed']}: {summary['verdict']}",
        f"{summary['operations']['acknowledged']:,} operations acknowledged,"
        f" {sum(summary['faults'].values()):,} faults, {summary['windows']:,} windows judged",
    )
    picture.panel("operations acknowledged", "/s", times, {"all": [sample["per_s"] for sample in samples]})
    latencies = {name: [sample[f"{name}_ms"] for sample in samples] for name in ("p50", "p99")}
    picture.panel("latency", "ms", times, latencies)
    replicas = range(summary["n"])
    for title, key in (("memory (RSS)", "rss_mb"), ("data folder", "disk_mb")):
        lines = {f"replica {id}": [sample[key][id] for sample in samples] for id in replicas}
        picture.panel(title, "MB", times, lines)
    rows: dict[str, list[tuple[float, float]]] = {}
    for kind, _, began_s, ended_s in sorted(summary["fault_marks"]):
        rows.setdefault(kind, []).append((began_s, ended_s))
    picture.rows("faults", rows)
    picture.time_axis()
    return picture.svg()
