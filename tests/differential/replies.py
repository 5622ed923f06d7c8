"""Replies as they came, taken apart, and what may differ between ours and those of a real server."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Union

__all__ = ["MEANT", "Meant", "Part", "compare", "parts_of"]

Part = tuple[str, Union[bytes, list["Part"]]]
"""A reply: the mark of its type, and its text or its parts; of a map the keys and values in turn."""


def parts_of(data: bytes) -> list[Part]:
    """The replies one by one."""
    found: list[Part] = []
    place = 0
    while place < len(data):
        part, place = _part(data, place)
        found.append(part)
    return found


def _part(data: bytes, place: int) -> tuple[Part, int]:
    end = data.index(b"\r\n", place)
    kind, head = chr(data[place]), data[place + 1 : end]
    place = end + 2
    if kind in "$=" and head != b"-1":
        end = place + int(head)
        return (kind, data[place:end]), end + 2
    if kind in "*%~>" and head != b"-1":
        inner: list[Part] = []
        for _ in range(int(head) * (2 if kind == "%" else 1)):
            part, place = _part(data, place)
            inner.append(part)
        return (kind, inner), place
    return (kind, head), place


class Meant(NamedTuple):
    """An intended difference: why, whether a pair of replies shows it, and whether what comes behind it may
    differ as well, because the states do."""

    why: str
    is_it: Callable[[Part, Part], bool]
    ends: bool = False


def _is_text(pattern: str, ours: str | None = None) -> Callable[[Part, Part], bool]:
    """Whether the real server's error is like `pattern`, and ours like `ours`, when that is said."""

    def is_it(mine: Part, theirs: Part) -> bool:
        texts = [part[1] if isinstance(part[1], bytes) else b"" for part in (mine, theirs)]
        return (
            theirs[0] == "-"
            and re.search(pattern.encode(), texts[1]) is not None
            and (ours is None or re.search(ours.encode(), texts[0]) is not None)
        )

    return is_it


_WORDS_OF_VALKEY = (
    (b"calling Redis command from", b"calling command from"),
    (b"Unknown Redis command called", b"Unknown command called"),
    (b"No matching script. Please use EVAL.", b"No matching script."),
    (b"Lua redis lib command arguments", b"Command arguments"),
)


def _is_said_by_valkey(mine: Part, theirs: Part) -> bool:
    if not (mine[0] == theirs[0] == "-" and isinstance(mine[1], bytes)):
        return False
    text = mine[1]
    for words, others in _WORDS_OF_VALKEY:
        text = text.replace(words, others)
    return text == theirs[1]


def _floats(mine: Part, theirs: Part) -> bool:
    texts = mine[1], theirs[1]
    if not (
        mine[0] == theirs[0]
        and mine[0] in "$,"
        and any(isinstance(text, bytes) and b"." in text for text in texts)
    ):
        return False
    try:
        one, other = (float(text) for text in texts)  # type: ignore[arg-type]
    except ValueError:
        return False
    return abs(one - other) <= max(1e-14 * max(abs(one), abs(other)), 1e-16)


MEANT: list[Meant] = [
    Meant(
        "what scripts may not call is refused whatever its arguments are",
        _is_text("^ERR (Wrong number of args|Unknown (Redis )?command)", "not allowed from script"),
    ),
    Meant(
        "OBJECT ENCODING tells from a string alone what it is, and in Redis how it came about",
        lambda mine, theirs: (
            (mine in (("$", b"int"), ("$", b"embstr")) and theirs == ("$", b"raw"))
            or (mine == ("$", b"int") and theirs == ("$", b"embstr"))
        ),
    ),
    Meant(
        "Redis 7.0 has no listpacks of lists and sets, which 7.2 has",
        lambda mine, theirs: (
            mine == ("$", b"listpack") and theirs in (("$", b"hashtable"), ("$", b"quicklist"))
        ),
    ),
    Meant(
        "Valkey has other words for MULTI and WATCH inside of MULTI, and EXEC fails then",
        _is_text("^ERR Command not allowed inside a transaction", "MULTI"),
        True,
    ),
    Meant("Valkey refuses SCAN of a type that it does not know", _is_text("^ERR unknown type name")),
    Meant("Valkey calls itself by no name in errors of scripts", _is_said_by_valkey),
    Meant(
        "Valkey cuts an index of LSET to 32 bits",
        lambda mine, theirs: mine == ("-", b"ERR index out of range") and theirs == ("+", b"OK"),
        True,
    ),
    Meant(
        "of two errors the one of the arguments is told here, and there that of the key",
        _is_text("^WRONGTYPE |^ERR could not decode requested zset member", "^ERR "),
    ),
    Meant(
        "an increment is a finite number", _is_text("would produce NaN or Infinity", "is not a valid float")
    ),
    Meant("sums of fractions are exact to 17 digits here, and those of a binary number there", _floats, True),
]
"""The intended differences, beside those that the tables of commands leave out:

- a key is gone at the millisecond of its deadline, and in Redis one later (no deadline meets the clock here);
- a script that fails has no effect, and in Redis keeps what it did (those here fail at their last call);
- DBSIZE counts keys that are due until something removes them, which is not always the same command;
- BITFIELD with OVERFLOW SAT takes the least number for the least integer, where a sum overflows there;
- OBJECT REFCOUNT is 1 for small numbers, too, which Redis shares;
- numbers with a fraction are those of 64 bits here, and of 80 bits there, so 1e400 is none here;
- a script that asks for RESP3 by `redis.setresp` gets null, and no maps, and tables named `map`, `double` and
  the like are no replies of RESP3;
- the order of hashes that Redis keeps in a hash table is another one in each of its processes.
"""


def compare(ours: bytes, real: bytes, unordered: Sequence[bool]) -> tuple[str | None, bool]:
    """The first difference that is not intended, None when there is none; and whether to go on.

    `unordered`: of each reply, whether the order of what it has counts for nothing.
    """
    if ours == real:
        return None, True
    mine, theirs = parts_of(ours), parts_of(real)
    if len(mine) != len(theirs):
        return f"{len(mine)} replies, and really {len(theirs)}: {mine[-3:]} and {theirs[-3:]}", False
    for number, (one, other) in enumerate(zip(mine, theirs)):
        wrong, ends = _difference(one, other, unordered[number])
        if wrong:
            return f"reply {number} is {one!r}, and really {other!r}", False
        if ends:
            return None, False
    return None, True


def _difference(one: Part, other: Part, is_unordered: bool) -> tuple[bool, bool]:
    """Whether the two differ though that is not intended, and whether the states may differ from now on."""
    if one == other:
        return False, False
    for meant in MEANT:
        if meant.is_it(one, other):
            return False, meant.ends
    if isinstance(one[1], list) and isinstance(other[1], list) and one[0] == other[0]:
        if len(one[1]) != len(other[1]):
            return True, True
        found = [_difference(*pair, is_unordered) for pair in zip(one[1], other[1])]
        is_wrong = any(wrong for wrong, _ in found)
        if is_wrong and is_unordered:
            return sorted(map(repr, _leaves(one))) != sorted(map(repr, _leaves(other))), False
        return is_wrong, any(ends for _, ends in found)
    return True, True


def _leaves(part: Part) -> list[Part]:
    return [leaf for inner in part[1] for leaf in _leaves(inner)] if isinstance(part[1], list) else [part]
