"""Who is let in without being a member: replicas that ask to join, and those that were members once.

Of a guest only control messages are taken.  One that asks to join says how far it is; one that was away while
the members changed is told so.  Their number and the time for which a silent one is remembered are bounded.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from epaxos.transport.introductions import Introduction, Refused

__all__ = ["GUESTS_MAX", "GUEST_GONE_S", "Guest", "Guests"]

GUESTS_MAX = 16
"""Guests at a time; a further one is refused."""
GUEST_GONE_S = 10.0
"""A guest that has said nothing for this time, in seconds, is forgotten."""


class Guest(NamedTuple):
    """The uid of the folder of a guest, and the address at which it is dialled."""

    uid: int
    address: str


class Guests:
    """The guests, by their numbers.  `now` tells the time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._guests: dict[int, Guest] = {}
        self._heard_at: dict[int, float] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._guests

    def items(self) -> list[tuple[int, Guest]]:
        """Each guest with its number."""
        return list(self._guests.items())

    def uid_of(self, number: int) -> int | None:
        """The uid of the folder of a guest; None where no guest has the number."""
        guest = self._guests.get(number)
        return None if guest is None else guest.uid

    @property
    def has_room(self) -> bool:
        """Whether one more is let in."""
        return len(self._guests) < GUESTS_MAX

    def admit(self, number: int, who: Introduction) -> None:
        """Let in a guest, or note that it is still there.  Raises Refused."""
        known = self._guests.get(number)
        if known is not None and known.uid != who.uid:
            raise Refused(f"another folder with the number {number} asks already (uid {known.uid:016x})")
        if known is None and not self.has_room:
            raise Refused(f"{GUESTS_MAX} replicas that are no members are here already")
        self._guests[number] = Guest(who.uid, who.address)
        self.hear(number)

    def hear(self, number: int) -> None:
        """The guest is there."""
        if number in self._guests:
            self._heard_at[number] = self._now()

    def forget(self, number: int) -> None:
        """It is no guest any more."""
        self._guests.pop(number, None)
        self._heard_at.pop(number, None)

    def gone(self) -> list[int]:
        """Forget those of whom nothing was heard for a while: their numbers."""
        limit = self._now() - GUEST_GONE_S
        numbers = [number for number, heard_at in self._heard_at.items() if heard_at < limit]
        for number in numbers:
            self.forget(number)
        return numbers
