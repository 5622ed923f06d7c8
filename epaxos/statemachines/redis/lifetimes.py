"""The options by which a command gives its key a deadline: EX, PX, EXAT, PXAT, and one word for none."""

from __future__ import annotations

from typing import NamedTuple

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import INTEGER_MAX, NOT_AN_INTEGER, integer_of

__all__ = ["LIFETIMES", "Lifetime", "lifetime_of"]

LIFETIMES = {b"EX": (1000, True), b"PX": (1, True), b"EXAT": (1000, False), b"PXAT": (1, False)}
"""By the name of the option: the milliseconds of its unit, and whether it counts from now on."""


class Lifetime(NamedTuple):
    """How long a key lives, in milliseconds: from now on, or since 1970."""

    ms: int
    is_relative: bool

    def deadline(self, now_ms: int) -> int:
        """Milliseconds since 1970."""
        return self.ms + now_ms if self.is_relative else self.ms


def lifetime_of(command: Command, option: bytes, number: bytes) -> Lifetime:
    """That of an option (in upper case) with its number.  Raises CommandError, in Redis' words."""
    unit_ms, is_relative = LIFETIMES[option]
    count = integer_of(number)
    if count is None:
        raise CommandError(NOT_AN_INTEGER)
    if not 0 < count <= INTEGER_MAX // unit_ms // 2:  # half: what is added to it is far smaller
        name = command[0].decode("ascii", "replace").lower()
        raise CommandError(f"ERR invalid expire time in '{name}' command")
    return Lifetime(count * unit_ms, is_relative)
