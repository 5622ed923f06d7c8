"""docs/internals/rooms.svg: the rooms by floors, and what imports what, from tests/test_architecture.py.

A room stands one floor above the highest of those that it imports, so every line leads down.  An import that
others imply is not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.test_architecture import ROOMS

__all__ = ["floors", "picture", "reduced"]

BOX_WIDTH, BOX_HEIGHT, GAP, FLOOR_HEIGHT, MARGIN = 150, 26, 16, 92, 20


def floors(imports: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """The floor of each room, from 0.  Raises ValueError when rooms import each other in a circle."""
    found: dict[str, int] = {}
    while len(found) < len(imports):
        ready = [room for room, may in imports.items() if room not in found and all(m in found for m in may)]
        if not ready:
            raise ValueError(f"a circle: {sorted(imports.keys() - found.keys())}")
        found.update({room: max((found[m] + 1 for m in imports[room]), default=0) for room in ready})
    return found


def reduced(imports: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """The imports that no chain of others implies."""

    def reached(room: str) -> set[str]:
        return {room}.union(*(reached(below) for below in imports[room]))

    for room, may in imports.items():
        for below in may:
            if not any(below in reached(other) for other in may if other != below):
                yield room, below


def picture() -> str:
    """The picture, as SVG."""
    imports = {name: room.may_import for name, room in ROOMS.items()}
    floor_of = floors(imports)
    rows = [
        [room for room in imports if floor_of[room] == floor] for floor in range(max(floor_of.values()) + 1)
    ]
    width = max(map(len, rows)) * (BOX_WIDTH + GAP) + 2 * MARGIN
    height = len(rows) * FLOOR_HEIGHT - (FLOOR_HEIGHT - BOX_HEIGHT) + 2 * MARGIN
    places: dict[str, tuple[float, float]] = {}
    for floor, row in enumerate(rows):
        left = (width - len(row) * (BOX_WIDTH + GAP) + GAP) / 2
        y = height - MARGIN - BOX_HEIGHT - floor * FLOOR_HEIGHT
        places.update({room: (left + index * (BOX_WIDTH + GAP), y) for index, room in enumerate(row)})
    lines = []
    for room, below in reduced(imports):
        (x, y), (to_x, to_y) = places[room], places[below]
        ends = (
            f'x1="{x + BOX_WIDTH / 2:g}" y1="{y + BOX_HEIGHT:g}" x2="{to_x + BOX_WIDTH / 2:g}" y2="{to_y:g}"'
        )
        lines.append(f'<line {ends} stroke="#8aa" stroke-width="1.2"/>')
    for room, (x, y) in places.items():
        size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
        lines.append(f'<rect x="{x:g}" y="{y:g}" {size} rx="4" fill="#eef4fb" stroke="#47a"/>')
        lines.append(f'<text x="{x + BOX_WIDTH / 2:g}" y="{y + 17:g}" text-anchor="middle">{room}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
    style = (
        f'height="{height:g}" font-family="sans-serif" font-size="12" role="img" aria-label="rooms by floors"'
    )
    return "\n".join(
        [f"{head} {style}>", '<rect width="100%" height="100%" fill="#fff"/>', *lines, "</svg>\n"]
    )
