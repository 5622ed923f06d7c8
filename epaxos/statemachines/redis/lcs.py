"""The longest common subsequence of two strings.

Row by row, a row being one integer: bit j is 0 where the length grows at the j-th byte of the second string
(Hyyrö, "Bit-parallel LCS-length computation revisited", 2004).  C code does 64 and more bits at a time.
"""

from __future__ import annotations

from typing import NamedTuple

from epaxos.interfaces import Command, CommandError, Reply, ReplyMap
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.space import Space

__all__ = ["lcs"]

BYTES_MAX = 20_000
"""Of each of both values, at most: what is done for each byte grows with the length."""
CELLS_MAX = 10_000_000
"""The product of both lengths, at most.  With BYTES_MAX that is about 10 ms of work."""


class Match(NamedTuple):
    """`length` bytes from `first` of one string are those from `second` of the other."""

    first: int
    second: int
    length: int


class Options(NamedTuple):
    """The options of LCS."""

    length: bool
    indices: bool
    with_length: bool
    length_min: int


def _options(command: Command) -> Options:
    flags = {b"LEN": False, b"IDX": False, b"WITHMATCHLEN": False}
    length_min = 0
    rest = list(command[:2:-1])  # the next option is the last element
    while rest:
        option = rest.pop().upper()
        if option in flags:
            flags[option] = True
        elif option == b"MINMATCHLEN" and rest:
            number = integer_of(rest.pop())
            if number is None:
                raise CommandError(NOT_AN_INTEGER)
            length_min = max(0, number)
        else:
            raise CommandError(SYNTAX_ERROR)
    if flags[b"LEN"] and flags[b"IDX"]:
        raise CommandError("ERR If you want both the length and indexes, please just use IDX.")
    return Options(flags[b"LEN"], flags[b"IDX"], flags[b"WITHMATCHLEN"], length_min)


def rows_of(a: bytes, b: bytes) -> list[int]:
    """A row for each byte of `a`, behind that of none."""
    places: dict[int, int] = {}
    for place, byte in enumerate(b):
        places[byte] = places.get(byte, 0) | 1 << place
    everything = (1 << len(b)) - 1
    row = everything
    rows = [row]
    for byte in a:
        here = row & places.get(byte, 0)
        row = ((row + here) | (row - here)) & everything
        rows.append(row)
    return rows


def _zeros(row: int, places: int) -> int:
    """How many of the lowest `places` bits are 0: the length of the common subsequence up to there."""
    return places - (row & ((1 << places) - 1)).bit_count()


def matches_of(a: bytes, b: bytes) -> tuple[list[Match], int]:
    """The stretches of a longest common subsequence as Redis chooses it, the last one first; its length."""
    rows = rows_of(a, b)
    i, j = len(a), len(b)
    total = left = _zeros(rows[i], j)
    found: list[Match] = []
    while left:
        if a[i - 1] == b[j - 1]:
            i, j, left = i - 1, j - 1, left - 1
            if found and found[-1].first == i + 1 and found[-1].second == j + 1:
                found[-1] = Match(i, j, found[-1].length + 1)
            else:
                found.append(Match(i, j, 1))
        elif _zeros(rows[i - 1], j) > _zeros(rows[i], j - 1):
            i -= 1
        else:
            j -= 1
    return found, total


def lcs(space: Space, command: Command) -> Reply:
    """See CommandSpec."""
    try:
        values = [space.string(key) or b"" for key in command[1:3]]
    except CommandError:
        raise CommandError("ERR The specified keys must contain string values") from None
    options = _options(command)
    if not all(values):
        values = [b"", b""]
    elif max(map(len, values)) > BYTES_MAX or len(values[0]) * len(values[1]) > CELLS_MAX:
        raise CommandError("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    a, b = map(bytes, values)
    if options.length:
        return _zeros(rows_of(a, b)[-1], len(b))
    found, total = matches_of(a, b)
    if not options.indices:
        return b"".join(a[match.first : match.first + match.length] for match in reversed(found))
    shown: list[Reply] = []
    for first, second, length in found:
        if length >= options.length_min:
            match: list[Reply] = [[first, first + length - 1], [second, second + length - 1]]
            shown.append([*match, length] if options.with_length else match)
    return ReplyMap([b"matches", shown, b"len", total])
