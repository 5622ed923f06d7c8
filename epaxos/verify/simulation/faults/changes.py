"""Faults about operators that change the members: what they want, and what goes wrong meanwhile."""

from __future__ import annotations

from epaxos.verify.simulation.clock import SECOND
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.faults.fault import Fault, FaultKind

__all__ = ["changes"]

_KINDS = (("replace", 5), ("add", 3), ("remove", 3), ("move", 1), ("turn", 2))
_AWAY = ((FaultKind.KILL, 4), (FaultKind.POWER, 3), (FaultKind.PARTITION, 4), (FaultKind.PAUSE, 2))
_TRAPS = (
    ("Installation", FaultKind.POWER_AFTER_SEND),
    ("Installation", FaultKind.KILL_AT_SEND),
    ("Installed", FaultKind.POWER_AFTER_SEND),
    ("PieceAsk", FaultKind.KILL_AT_SEND),
    ("Candidate", FaultKind.KILL_AT_SEND),
    ("Piece", FaultKind.KILL_AT_SEND),
    ("StateOffer", FaultKind.KILL_AT_SEND),
    ("EpochIs", FaultKind.POWER_AFTER_SEND),
    ("Standing", FaultKind.POWER_AFTER_SEND),
)


class _Changes:
    """Makes the faults of a run that begins with `n` members and has `spares` beside them."""

    def __init__(self, dice: Dice, n: int, spares: int, active_us: int) -> None:
        self.faults: list[Fault] = []
        self._dice = dice
        self._total = n + spares
        self._active_us = active_us
        self._members = list(range(n))
        self._spares = list(range(n, n + spares))
        self._fails = n > 2 and dice.chance(0.5)  # then at most one at a time may be lost for good
        self._removable = n - (3 if self._fails else 1)
        """How many may still be removed.  Who is added does not count, because that may fail."""

    def _add(
        self, at: int, kind: FaultKind, where: list[int], lasts: int, amount: int = 1, aim: str = ""
    ) -> None:
        begin = min(max(0, at), self._active_us - 1)
        self.faults.append(Fault(0, begin, kind, tuple(where), lasts, amount, aim))

    def make(self) -> None:
        """A few changes, one after the other, with what goes wrong about them."""
        dice = self._dice
        count = dice.between(1, 6)
        for step in range(count):
            at = self._active_us * (1 + step) // (count + 2) + dice.below(2 * SECOND)
            if step == 0 and self._fails:
                self._lose(at)
            self._change(at, self._active_us // (count + 2))
            if dice.chance(0.5):
                self._go_away(at)
            for _ in range(dice.between(0, 2)):
                self._trap(at)

    def _change(self, at: int, lasts: int) -> None:
        """What an operator wants; perhaps another one wants something else at the same time."""
        dice = self._dice
        asked = dice.pick_some(range(self._total), self._total)
        self._add(at, FaultKind.MEMBERS, asked, lasts, aim=self._aim(at))
        if dice.chance(0.3):
            other = dice.pick_some(range(self._total), self._total)
            at += dice.pick((0, 1000, SECOND))
            self._add(at, FaultKind.MEMBERS, other, lasts // 4, aim=self._aim(at))

    def _aim(self, at: int) -> str:
        dice, members = self._dice, self._members
        kind = dice.pick_weighted(_KINDS)
        if kind in ("replace", "add") and not self._spares:
            kind = "turn"
        if kind == "remove" and not self._removable:
            kind = "move"
        if kind == "turn":
            return kind
        number = dice.pick(members)
        if kind == "move":
            return f"move {number}"
        if kind != "add":
            members.remove(number)
        if kind == "remove":
            self._removable -= 1
            return f"remove {number}"
        new = self._spares.pop(0)
        members.append(new)
        self._add(at - dice.between(-2, 6) * SECOND, FaultKind.JOIN, [new], 0)
        return f"add {new}" if kind == "add" else f"replace {number} {new}"

    def _lose(self, at: int) -> None:
        """A disk is lost: preferably of the only one that has opened the epoch that begins; or one is dead
        before, so that it is replaced by another."""
        dice = self._dice
        victim = dice.pick(self._members)
        if dice.chance(0.5):
            self._add(
                at - dice.below(5 * SECOND), FaultKind.LOST, [victim], 10 * SECOND, dice.pick((0, 1, 1000))
            )
        else:
            self._add(at - dice.below(5 * SECOND), FaultKind.DEAD, [victim], 0)

    def _go_away(self, at: int) -> None:
        """Somebody is away while the members change."""
        dice = self._dice
        lasts = dice.pick((SECOND, 5 * SECOND, self._active_us // 3))
        where = [dice.below(self._total)]
        self._add(at - dice.below(2 * SECOND), dice.pick_weighted(_AWAY), where, lasts)

    def _trap(self, at: int) -> None:
        """Somebody goes down in the middle of it."""
        dice = self._dice
        aim, kind = dice.pick(_TRAPS)
        lasts = dice.pick((SECOND // 10, SECOND, 5 * SECOND))
        self._add(at - SECOND, kind, [dice.below(self._total)], lasts, dice.between(1, 4), aim)


def changes(dice: Dice, n: int, spares: int, active_us: int, first: int) -> tuple[Fault, ...]:
    """Changes of the members, and faults about them; `first` is the name of the first fault."""
    maker = _Changes(dice, n, spares, active_us)
    maker.make()
    return tuple(fault._replace(name=first + count) for count, fault in enumerate(maker.faults))
