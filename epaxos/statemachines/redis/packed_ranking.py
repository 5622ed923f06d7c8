"""The packed form of a small sorted set: scores and members in one `bytes`, in the order of their insertion.

First the number of members, a byte; then the scores, doubles of eight bytes; then the members, with the byte
FE before, between and behind them, escaped (`escapes.py`).  So a search for a member between two FE finds it
and nothing else, and the FE before it count its place.

Whoever reads members in the order of their scores sorts them: 128 take as long as the reply to them.  To keep
them sorted would cost each write, at every replica, more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from struct import Struct

from epaxos.statemachines.redis.escapes import BEGIN, ESCAPE, MIDDLE, escaped, plain

__all__ = ["EMPTY", "MEMBERS_MAX", "MEMBER_BYTES_MAX", "check", "get", "ordered", "pack", "put", "remove"]

MEMBERS_MAX = 128
"""The most members of a packed sorted set, because to sort more takes longer than all else that is done for a
command."""
MEMBER_BYTES_MAX = 64
"""The most bytes of a member of a packed sorted set."""

EMPTY = b"\0\xfe"
_SCORES = [Struct(f"<{count}d") for count in range(MEMBERS_MAX + 2)]
_SCORE = Struct("<d")


def _find(data: bytes, member: bytes) -> tuple[int, int]:
    """Where the score and the member stand; 0 where they do not."""
    begin = 1 + 8 * data[0]
    found = data.find(b"\xfe%b\xfe" % (member if member.isascii() else escaped(member)), begin)
    return (0, 0) if found < 0 else (1 + 8 * data.count(BEGIN, begin, found), found)


def get(data: bytes, member: bytes) -> float | None:
    """The score of a member, None where there is no such member."""
    place, _ = _find(data, member)
    if not place:
        return None
    (score,) = _SCORE.unpack_from(data, place)
    return score  # type: ignore[no-any-return]


def put(data: bytes, member: bytes, score: float) -> tuple[bytes, float | None] | None:
    """The sorted set with this score of the member, and the score that it had, None where it is new.

    None when the new member is one too many.
    """
    count = data[0]
    begin = 1 + 8 * count
    if not member.isascii():
        member = escaped(member)
    found = data.find(b"\xfe%b\xfe" % member, begin)
    if found < 0:
        if count == MEMBERS_MAX:
            return None
        return b"%c%b%b%b%b\xfe" % (count + 1, data[1:begin], _SCORE.pack(score), data[begin:], member), None
    place = 1 + 8 * data.count(BEGIN, begin, found)
    (before,) = _SCORE.unpack_from(data, place)
    return b"%b%b%b" % (data[:place], _SCORE.pack(score), data[place + 8 :]), before


def remove(data: bytes, member: bytes) -> bytes | None:
    """The sorted set without this member; None when there is no such member."""
    place, found = _find(data, member)
    if not place:
        return None
    end = data.index(BEGIN, found + 1)
    return b"%c%b%b%b" % (data[0] - 1, data[1:place], data[place + 8 : found], data[end:])


def _unpack(data: bytes) -> tuple[tuple[float, ...], list[bytes]]:
    members = data[1 + 8 * data[0] :].split(BEGIN)[1:-1]
    if ESCAPE in data:
        members = list(map(plain, members))
    return _SCORES[data[0]].unpack_from(data, 1), members


def ordered(data: bytes) -> tuple[list[float], list[bytes]]:
    """The scores, and the members, in the order of the scores."""
    pairs = sorted(zip(*_unpack(data)))
    return [score for score, _ in pairs], [member for _, member in pairs]


def pack(scores: Sequence[float], members: Sequence[bytes]) -> bytes:
    """The packed form of these members."""
    found = b"".join([b"%b\xfe" % escaped(member) for member in members])
    return b"%c%b\xfe%b" % (len(members), _SCORES[len(members)].pack(*scores), found)


def check(data: bytes) -> None:
    """Raises ValueError for what no function here has made."""
    is_right = len(data) > 0 and 0 < data[0] <= MEMBERS_MAX and len(data) > 1 + 9 * data[0]
    if is_right:
        tail = data[1 + 8 * data[0] :]
        is_right = tail[:1] == BEGIN == tail[-1:] and tail.count(BEGIN) == data[0] + 1 and MIDDLE not in tail
    if is_right:
        scores, members = _unpack(data)
        is_right = (
            max(map(len, members)) <= MEMBER_BYTES_MAX
            and not any(map(isnan, scores))
            and len(set(members)) == len(members)
            and pack([score + 0.0 for score in scores], members) == data
        )
    if not is_right:
        raise ValueError(f"a packed sorted set of {len(data)} bytes that is none")
