"""Reads what LZF has compressed, as long strings in payloads are.  Nothing here compresses."""

from __future__ import annotations

from collections.abc import Generator

from epaxos.statemachines.redis.dump.errors import BadData

__all__ = ["expanded"]

STEP_PIECES = 2048
"""The pieces of a step, which takes about a millisecond."""
EXPANSION = 88
"""Three bytes stand for 264 at most."""


def expanded(data: bytes, length: int) -> Generator[None, None, bytes]:
    """The `length` bytes that `data` stands for.  Raises BadData where it stands for something else.

    The memory that it takes is bounded by `length`, and `length` by that of the data.
    """
    if length > len(data) * EXPANSION:
        raise BadData("a compressed string is too short")
    out = bytearray()
    place = pieces = 0
    while place < len(data):
        place = _expand_one(data, place, out)
        if len(out) > length:
            raise BadData("a compressed string is too long")
        pieces += 1
        if pieces % STEP_PIECES == 0:
            yield
    if len(out) != length:
        raise BadData("a compressed string is too short")
    return bytes(out)


def _expand_one(data: bytes, place: int, out: bytearray) -> int:
    """Add what the piece at `place` stands for; the place of the next one.

    A piece is up to 32 bytes that stand for themselves, or a reference to bytes of before.
    """
    control = data[place]
    place += 1
    if control < 32:
        end = place + control + 1
        if end > len(data):
            raise BadData("a compressed string ends within a piece")
        out += data[place:end]
        return end
    length = (control >> 5) + 2
    is_long = length == 9
    if place + is_long >= len(data):
        raise BadData("a compressed string ends within a piece")
    if is_long:
        length += data[place]
        place += 1
    distance = ((control & 31) << 8) + data[place] + 1
    start = len(out) - distance
    if start < 0:
        raise BadData("a compressed string refers to what is before it")
    source = out[start : start + length]
    if distance < length:  # it overlaps: what is between is repeated
        source = (source * (length // distance + 1))[:length]
    out += source
    return place + 1
