"""Faults that aim at recovery: about each moment, a few of the troubles that need it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.faults.fault import Fault, FaultKind

__all__ = ["AT_SEND", "duels"]

AT_SEND = (FaultKind.KILL_AT_SEND, FaultKind.CUT_AT_SEND, FaultKind.LATE_AT_SEND)


class _Duel:
    """The faults about one moment, at which the `leaders` propose what interferes.

    It consists of a few of the methods below.  Each makes one kind of trouble for which recovery exists, and
    which random faults hardly ever make.
    """

    def __init__(self, dice: Dice, n: int, moment: int, scale: int, leaders: Collection[int]) -> None:
        self.faults: list[Fault] = []
        self._dice = dice
        self._n = n
        self._begin = moment - scale // 2
        self._scale = scale
        self._leaders = sorted(leaders)

    def _add(
        self, after: int, kind: FaultKind, where: Sequence[int], lasts: int, amount: int = 1, aim: str = ""
    ) -> None:
        begin = max(0, self._begin + after * self._scale)
        self.faults.append(Fault(0, begin, kind, tuple(where), lasts * self._scale, amount, aim))

    def _others(self, replica: int, least: int = 0) -> list[int]:
        others = [other for other in range(self._n) if other != replica]
        return self._dice.pick_some(others, self._dice.between(least, len(others)))

    def split(self) -> None:
        """Proposals reach only the half of the cluster in which they were made."""
        inside = self._dice.pick_some(range(self._n), self._dice.between(1, self._n // 2))
        self._add(0, FaultKind.PARTITION, inside, self._dice.between(2, 6))

    def vanishing_leaders(self) -> None:
        """Leaders vanish before they have told all others the decision."""
        dice = self._dice
        for leader in self._leaders:
            if dice.chance(0.8):
                aim = dice.pick_weighted((("Commit", 5), ("Accept", 3), ("PreAccept", 3)))
                amount = dice.between(1, self._n - 1) if aim == "PreAccept" else dice.between(1, 2)
                kind = dice.pick((FaultKind.KILL_AT_SEND, FaultKind.CUT_AT_SEND, FaultKind.CUT_AT_SEND))
                from_whom = self._others(leader) if dice.chance(0.3) else []
                self._add(0, kind, (leader, *from_whom), dice.pick((15, 30, 60)), amount, aim)

    def late_leaders(self) -> None:
        """Messages of leaders come late, while the leaders do not hear some of the others."""
        dice = self._dice
        for leader in self._leaders:
            aim = dice.pick_weighted((("PreAccept", 2), ("Accept", 2), ("Commit", 1)))
            late = self._others(leader, 1)
            self._add(0, FaultKind.LATE_AT_SEND, (leader, *late), 1, dice.pick((6, 12, 25)), aim)
            for other in self._others(leader):
                self._add(0, FaultKind.ONE_WAY, (other, leader), dice.pick((20, 40)))

    def vanishing_others(self) -> None:
        """Recoverers vanish before they have told their decision; answers are lost or come late."""
        dice = self._dice
        for replica in range(self._n):
            if dice.chance(0.4):
                kind = dice.pick(AT_SEND)
                amount = dice.pick((6, 12, 25)) if kind is FaultKind.LATE_AT_SEND else dice.between(1, 3)
                lasts = 1 if kind is FaultKind.LATE_AT_SEND else dice.pick((5, 15, 40))
                where = (replica, *self._others(replica))
                self._add(dice.between(0, 6), kind, where, lasts, amount, dice.pick_weighted(_PROMISES))

    def power_failures(self) -> None:
        """Replicas lose power just after they have promised something."""
        dice = self._dice
        for replica in dice.pick_some(range(self._n), dice.between(1, self._n // 2)):
            self._add(dice.between(1, 12), FaultKind.POWER, (replica,), dice.pick((1, 4, 12)))

    def lost_links(self) -> None:
        """Some links are cut in one direction."""
        for a in range(self._n):
            for b in range(self._n):
                if a != b and self._dice.chance(0.2):
                    self._add(0, FaultKind.ONE_WAY, (a, b), self._dice.pick((2, 5, 25)))

    def changing_quorums(self) -> None:
        """One quorum after the other works without the other replicas."""
        after = self._dice.between(1, 6)
        for _ in range(self._dice.between(1, 4)):
            lasts = self._dice.pick((3, 8, 20))
            self._add(after, FaultKind.PARTITION, self._dice.pick_some(range(self._n), self._n // 2), lasts)
            after += lasts


_PROMISES = (
    ("Commit", 5),
    ("Accept", 3),
    ("AcceptOK", 2),
    ("RecoverOK", 2),
    ("PreAcceptOK", 1),
    ("Recover", 1),
    ("Validate", 1),
    ("ValidateOK", 1),
)
_TROUBLES: tuple[tuple[Callable[[_Duel], None], float], ...] = (
    (_Duel.split, 0.5),
    (_Duel.vanishing_leaders, 0.7),
    (_Duel.late_leaders, 0.3),
    (_Duel.vanishing_others, 0.3),
    (_Duel.power_failures, 0.3),
    (_Duel.lost_links, 0.2),
    (_Duel.changing_quorums, 0.3),
)


def duels(
    seed: int, n: int, moments: tuple[int, ...], scale: int, leaders: Collection[int]
) -> tuple[Fault, ...]:
    """For each moment a few troubles of random kinds."""
    faults: list[Fault] = []
    for number, moment in enumerate(moments if n > 1 else ()):
        dice = Dice(seed, "duel", number)
        duel = _Duel(dice, n, moment, scale, leaders)
        for trouble, probability in _TROUBLES:
            if dice.chance(probability):
                trouble(duel)
        faults += duel.faults
    return tuple(fault._replace(name=name) for name, fault in enumerate(faults))
