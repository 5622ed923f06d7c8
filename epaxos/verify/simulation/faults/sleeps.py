"""Faults about replicas that are away while epochs end: who wakes up needs the state of another one."""

from __future__ import annotations

from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.faults.fault import Fault, FaultKind

__all__ = ["sleeps"]

_NAPS = (
    (FaultKind.KILL, 4),
    (FaultKind.POWER, 3),
    (FaultKind.PARTITION, 4),
    (FaultKind.PAUSE, 2),
    (FaultKind.RESTART, 1),
    (FaultKind.CUT_AT_SEND, 3),
)
_TURNS = ((0, 1), (1, 2), (2, 5), (3, 4), (5, 2))
_GIVING = ("Piece", "Piece", "StateOffer", "EpochIs")
_TAKING = ("PieceAsk", "StateAsk", "Installation", "Installation", "Installation", "Installed", "Standing")
_LOSSES = (FaultKind.LOSE, FaultKind.HOLD, FaultKind.ECHO, FaultKind.CHANGE, FaultKind.CHANGE)


class _Sleeps:
    """Makes the faults of a run of `n` replicas that lasts for `active_us`."""

    def __init__(self, dice: Dice, n: int, active_us: int) -> None:
        self.faults: list[Fault] = []
        self._dice = dice
        self._n = n
        self._active_us = active_us
        self._lost: set[int] = set()

    def _add(
        self, at: int, kind: FaultKind, where: tuple[int, ...], lasts: int, amount: int = 1, aim: str = ""
    ) -> None:
        begin = min(max(0, at), self._active_us - 1)
        self.faults.append(Fault(0, begin, kind, where, lasts, amount, aim))

    def nap(self) -> None:
        """One replica is away over some turns; its way back may be disturbed."""
        dice = self._dice
        sleeper = dice.below(self._n)
        begin = self._active_us * dice.between(10, 50) // 100
        lasts = self._active_us * dice.between(15, 60) // 100
        kind = dice.pick_weighted(_NAPS)
        self._add(begin, kind, (sleeper,), lasts, dice.between(1, 3), dice.pick(("PreAccept", "Accept")))
        others = [replica for replica in range(self._n) if replica != sleeper] or [sleeper]
        for _ in range(dice.pick_weighted(_TURNS)):
            at = begin + dice.below(lasts)
            self.turn(at, others)
            if dice.chance(0.2):
                self._leave_behind(at, begin + lasts, others)
        for _ in range(dice.between(0, 2)):
            self._trap(begin + lasts + 1, sleeper, others)
        if dice.chance(0.4):
            self._bad_links(begin + lasts + 1, lasts // 4, others)
        if dice.chance(0.2):  # the rest moves on while the sleeper takes the state
            for _ in range(dice.between(1, 2)):
                self.turn(begin + lasts + dice.below(1 + self._active_us // 20), others)

    def inherit(self) -> None:
        """The sleeper takes the state of a replica that is lost afterwards, while the others have heard of
        less: whatever only the lost one had told is in that state."""
        dice, part = self._dice, self._active_us // 20
        source, sleeper, *others = dice.pick_some(range(self._n), self._n)
        wakes_up = part * dice.between(8, 12)
        self._add(2 * part, dice.pick((FaultKind.KILL, FaultKind.PARTITION)), (sleeper,), wakes_up - 2 * part)
        for count in range(dice.between(2, 3)):
            self._add(part * (3 + count), FaultKind.TURN, (source,), 0)
        last = dice.between(6 * part, wakes_up)
        for other in others:
            self._add(last, FaultKind.CUT_AT_SEND, (source, other), 12 * part, dice.between(1, 3), "Commit")
        if dice.chance(0.4):
            self._add(last + dice.below(part), FaultKind.TURN, (source,), 0)
        delay = dice.pick((0, part // 4, part, 3 * part))
        self._add(wakes_up + 1, FaultKind.LOST, (source, sleeper), 0, delay, "Installed")
        if dice.chance(0.5):
            self._add(wakes_up + dice.below(1 + delay), FaultKind.TURN, (source,), 0)
        self._lost.add(source)

    def doze(self) -> None:
        """One replica hears nobody over some turns, and goes on talking, so that the others decide what its
        clients have asked for.  These clients are still there when it takes the state."""
        dice, part = self._dice, self._active_us // 20
        sleeper, *others = dice.pick_some(range(self._n), self._n)
        begin, lasts = part * dice.between(1, 6), part * dice.between(4, 10)
        for other in others:
            self._add(begin, FaultKind.ONE_WAY, (other, sleeper), lasts)
        for count in range(dice.between(2, 4)):
            self.turn(begin + lasts * (count + 1) // 5, others)

    def turn(self, at: int, where: list[int]) -> None:
        """An operator lets the next epoch begin."""
        self._add(at, FaultKind.TURN, tuple(self._dice.pick_some(where, self._dice.between(1, 2))), 0)

    def _leave_behind(self, at: int, until: int, others: list[int]) -> None:
        """Some of those who are awake do not hear of the end of an epoch until after the nap, so that the
        sleeper finds members in two later epochs.  Perhaps the one that is ahead vanishes when it is asked
        for its state."""
        dice = self._dice
        teller = dice.pick(others)
        lasts = until - at + dice.below(1 + self._active_us // 10)
        for other in others:
            if other != teller and dice.chance(0.7):
                self._add(at, FaultKind.CUT_AT_SEND, (teller, other), lasts, 1, "Commit")
        if dice.chance(0.5):
            self._add(until + 1, FaultKind.KILL_AT_SEND, (teller,), lasts, 1, "StateOffer")

    def _trap(self, at: int, sleeper: int, others: list[int]) -> None:
        """Somebody goes down in the middle of the transfer."""
        dice = self._dice
        gives = dice.chance(0.4)
        where = (dice.pick(others) if gives else sleeper,)
        aim = dice.pick(_GIVING if gives else _TAKING)
        kind = dice.pick((FaultKind.KILL_AT_SEND, FaultKind.POWER_AFTER_SEND))
        if aim == "Installed" or (aim == "Installation" and dice.chance(0.5)):
            kind = FaultKind.POWER_AFTER_SEND
        count = 1 if aim.startswith("Install") else dice.between(1, 6)
        self._add(at, kind, where, self._active_us // dice.pick((10, 40)), count, aim)

    def _bad_links(self, at: int, lasts: int, others: list[int]) -> None:
        dice = self._dice
        for sender in dice.pick_some(others, dice.between(1, 2)):
            aim = dice.pick(("Piece", "Piece", "StateOffer", "Piece StateOffer", "EpochIs"))
            self._add(at, dice.pick(_LOSSES), (sender,), max(1, lasts // dice.pick((1, 4))), 1, aim)

    def losses(self) -> None:
        """Up to f disks are lost, each preferably when it is the only one that has opened an epoch."""
        dice = self._dice
        count = dice.between(0, (self._n - 1) // 2 - len(self._lost))
        for replica in dice.pick_some([one for one in range(self._n) if one not in self._lost], count):
            at = dice.pick((dice.below(self._active_us), self._active_us - 1))
            lasts = dice.pick((0, self._active_us // 2))
            delay = dice.pick((0, 1, 1000, self._active_us // 100))
            self._add(at - lasts, FaultKind.LOST, (replica,), lasts, delay)


def sleeps(dice: Dice, n: int, active_us: int, first: int, dozes: bool = False) -> tuple[Fault, ...]:
    """A few naps and turns, and perhaps lost disks; `first` is the name of the first fault.  With `dozes` one
    replica is deaf for a while, and nothing else happens."""
    maker = _Sleeps(dice, n, active_us)
    if dice.chance(0.3):
        maker.turn(active_us * dice.between(1, 8) // 100, list(range(n)))
    if dozes:
        maker.doze()
    elif n > 2 and dice.chance(0.25):
        maker.inherit()
    else:
        for _ in range(dice.between(1, 3) if n > 1 else 0):
            maker.nap()
    if n == 1 or (not dozes and dice.chance(0.3)):
        maker.turn(dice.below(active_us), list(range(n)))
    if not dozes and dice.chance(0.5):
        maker.losses()
    return tuple(fault._replace(name=first + count) for count, fault in enumerate(maker.faults))
