"""Which pieces of the files of an offer are asked for, and what has come of them.

Pieces are asked for in the order in which they are taken: file by file, from the first byte that is missing.
A few may be under way at a time, because otherwise each would cost a round trip.  How many is found out,
because over UDP a burst that is too long is lost: one more for each window that has come, half as many when
an answer is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from epaxos.protocol.values.transfer import Piece, PieceAsk, StatePart

__all__ = ["FileName", "Wanted", "Window"]

WINDOW_MAX = 16
"""Pieces that are asked for, or have come and wait for one before them."""

FileName = tuple[int, bool]
"""A file of the state at its source: the generation, and whether it is a base."""


class Wanted:
    """A piece of the file `name` that was asked for at `asked_at`; None: it has to be asked for again.

    `data` is None until it has come.
    """

    __slots__ = ("asked_at", "data", "name", "offset", "size")

    def __init__(self, name: FileName, offset: int, size: int) -> None:
        self.name = name
        self.offset = offset
        self.size = size
        self.asked_at: float | None = None
        self.data: bytes | None = None


class Window:
    """The pieces of one state, of at most `piece_bytes` each, in their order.

    It holds at most WINDOW_MAX pieces, or twice as many where the source gives less than was asked for.
    """

    def __init__(self, piece_bytes: int) -> None:
        self._piece_bytes = piece_bytes
        self._size = 1.0
        self._parts: Sequence[StatePart] = ()
        self._offset = 0  # in the first of _parts: up to here its pieces are wanted
        self._taken: Mapping[FileName, int] = {}
        self._wanted: list[Wanted] = []

    def begin(self, parts: Sequence[StatePart], taken: Mapping[FileName, int]) -> None:
        """Ask for these parts from now on, from what has been `taken` of each file; forget what has come."""
        self._wanted.clear()
        self._parts = parts
        self._taken = dict(taken)
        self._offset = self._taken_of_first()

    def _taken_of_first(self) -> int:
        return self._taken.get(self._parts[0][:2], 0) if self._parts else 0

    @property
    def is_done(self) -> bool:
        """Whether all of the parts was handed over."""
        return not self._wanted and not self._has_more()

    def _has_more(self) -> bool:
        """Whether there is a piece that is not wanted yet; leads to the file that has it."""
        while self._parts and self._offset >= self._parts[0].length:
            self._parts = self._parts[1:]
            self._offset = self._taken_of_first()
        return bool(self._parts)

    def asks(self, now: float) -> list[PieceAsk]:
        """What is to be asked now: what was asked in vain first."""
        limit = int(self._size)
        lost = [wanted for wanted in self._wanted if wanted.data is None and wanted.asked_at is None]
        under_way = sum(wanted.asked_at is not None and wanted.data is None for wanted in self._wanted)
        new = lost[: max(0, limit - under_way)]
        while under_way + len(new) < limit and len(self._wanted) < WINDOW_MAX and self._has_more():
            part = self._parts[0]
            wanted = Wanted(part[:2], self._offset, min(self._piece_bytes, part.length - self._offset))
            self._offset += wanted.size
            self._wanted.append(wanted)
            new.append(wanted)
        for wanted in new:
            wanted.asked_at = now
        return [PieceAsk(*wanted.name, wanted.offset, wanted.size) for wanted in new]

    def wants(self, piece: Piece) -> bool:
        """Whether this piece has been asked for and has not come yet; it may be shorter than asked for."""
        return self._find(piece) is not None

    def _find(self, piece: Piece) -> int | None:
        for index, wanted in enumerate(self._wanted):
            if wanted.offset == piece.offset and wanted.name == piece[:2] and wanted.data is None:
                fits = len(piece.data) == wanted.size or len(self._wanted) < 2 * WINDOW_MAX
                return index if fits and len(piece.data) <= wanted.size else None
        return None

    def put(self, piece: Piece) -> None:
        """Keep a piece that is wanted and not empty.  What it lacks is asked for again."""
        index = self._find(piece)
        if index is None:
            return
        wanted = self._wanted[index]
        size = len(piece.data)
        if size < wanted.size:
            self._wanted.insert(index + 1, Wanted(wanted.name, wanted.offset + size, wanted.size - size))
        wanted.data = piece.data
        wanted.size = size
        self._size = min(WINDOW_MAX, self._size + 1 / self._size)

    def pop(self) -> Wanted | None:
        """The next piece in the order; None while it has not come."""
        return self._wanted.pop(0) if self._wanted and self._wanted[0].data is not None else None

    @property
    def oldest(self) -> float:
        """When the oldest question was asked that is not answered; infinite when there is none."""
        asked = (wanted.asked_at for wanted in self._wanted if wanted.data is None)
        return min((at for at in asked if at is not None), default=math.inf)

    def lose(self, now: float, after_s: float) -> bool:
        """What was asked `after_s` ago and has not come is lost.  Returns whether there is such a piece."""
        asked = [wanted for wanted in self._wanted if wanted.data is None]
        lost = [each for each in asked if each.asked_at is not None and each.asked_at + after_s <= now]
        for wanted in lost:
            wanted.asked_at = None
        if lost:
            self._size = max(1.0, self._size / 2)
        return bool(lost)
