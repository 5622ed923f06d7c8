"""Judges that the numbers of FENCE only grow."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from epaxos.interfaces import CommandError, Reply

__all__ = ["FenceJudge"]


class _Taken(NamedTuple):
    asked_us: int
    answered_us: int
    number: int


class FenceJudge:
    """`violated(text)` is called for each number that is not above one that was answered before it was asked
    for, and for one that is given twice."""

    def __init__(self, violated: Callable[[str], None]) -> None:
        self._violated = violated
        self._taken: dict[bytes, list[_Taken]] = {}

    def answer(self, key: bytes, asked_us: int, answered_us: int, reply: Reply) -> None:
        """The reply to a SET with FENCE of this key."""
        if isinstance(reply, CommandError) or not isinstance(reply, int):
            return  # it was refused, because of a clock
        one = _Taken(asked_us, answered_us, reply)
        taken = self._taken.setdefault(key, [])
        for other in taken:
            is_later = other.answered_us < asked_us
            if other.number == reply or (is_later and other.number > reply):
                self._violated(f"Fence: the numbers of {key!r} do not grow: {other}, then {one}")
        taken.append(one)
