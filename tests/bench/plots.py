"""Bar charts as SVG, readable on light and dark pages alike."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import ceil, floor, log10

from tests.bench.results import Plot

__all__ = ["svg"]

COLOURS = ("#8a8f98", "#2f6fde", "#2ca58d", "#e0a100", "#d1495b", "#7b5ea7", "#b07d48")
WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 44, 34
LEGEND_LINE = 20
LEGEND_COLUMNS = 3


def _step(largest: float) -> float:
    """A round distance of the lines of the grid: about five of them."""
    exact = largest / 5
    power = 10.0 ** floor(log10(exact))
    return power * min(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= exact)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _text(x: float, y: float, text: str, anchor: str = "middle", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _bars(plot: Plot, top: float, bottom: float, scale: float) -> Iterator[str]:
    group_width = (WIDTH - LEFT - RIGHT) / len(plot.groups)
    bar_width = group_width * 0.84 / len(plot.series)
    for number, group in enumerate(plot.groups):
        left = LEFT + group_width * (number + 0.08)
        yield _text(left + group_width * 0.42, bottom + 20, group)
        for place, (colour, values) in enumerate(zip(COLOURS, plot.series.values())):
            value = values[number]
            if value is not None:
                x, height = left + place * bar_width, value * scale
                yield (
                    f'<rect x="{x:.1f}" y="{bottom - height:.1f}" width="{bar_width - 2:.1f}"'
                    f' height="{height:.1f}" fill="{colour}"/>'
                )
                yield _text(x + bar_width / 2 - 1, bottom - height - 4, _number(value), size=9)


def _legend(plot: Plot) -> Iterator[str]:
    width = (WIDTH - LEFT - RIGHT) / LEGEND_COLUMNS
    for place, (colour, name) in enumerate(zip(COLOURS, plot.series)):
        x = LEFT + place % LEGEND_COLUMNS * width
        y = TOP + place // LEGEND_COLUMNS * LEGEND_LINE
        yield f'<rect x="{x:.1f}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
        yield _text(x + 18, y, name, "start")


def svg(plot: Plot) -> str:
    """The plot as a file.  It has at most seven series."""
    top = TOP + ceil(len(plot.series) / LEGEND_COLUMNS) * LEGEND_LINE + 8
    bottom = HEIGHT - BOTTOM
    largest = max(value for values in plot.series.values() for value in values if value is not None)
    step = _step(largest or 1)
    lines = ceil((largest or 1) / step)
    scale = (bottom - top) / (lines * step)
    parts = [_text(LEFT, 22, f"{plot.title} ({plot.unit})", "start", 15), *_legend(plot)]
    for line in range(lines + 1):
        y = bottom - line * step * scale
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#888" stroke-opacity="0.3"/>')
        parts.append(_text(LEFT - 8, y + 4, _number(line * step), "end"))
    parts += _bars(plot, top, bottom, scale)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    style = "<style>text{fill:#333}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>"
    return "\n".join([f'{head} role="img">', style, *parts, "</svg>\n"])
