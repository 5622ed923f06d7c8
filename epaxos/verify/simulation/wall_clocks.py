"""The wall clocks of the hosts of a run: who is wrong, by how much, and who is set while it runs.

A majority is never wrong by more than GOOD of the bound, so the median of all is right.  The others may be
wrong by anything, and may jump.
"""

from __future__ import annotations

from typing import NamedTuple

from epaxos.verify.simulation.clock import SECOND, VirtualTime
from epaxos.verify.simulation.dice import Dice

__all__ = ["BEGIN_S", "Skews", "WallClocks"]

BEGIN_S = 1_800_000_000
"""The seconds since 1970 at which a run begins."""
GOOD = 0.2
"""The part of the bound by which a good clock is wrong."""
_JUMPS = 3


class Skews(NamedTuple):
    """How wrong the wall clocks of a run are.  `error_max_s`: the bound; clocks that differ by more say so.
    0: all clocks are right."""

    error_max_s: float = 0.0


class WallClocks:
    """All of them, for a run of `n` replicas that has faults until `active_us`."""

    def __init__(self, skews: Skews, seed: int, n: int, active_us: int, time: VirtualTime) -> None:
        self._time = time
        self._bad: dict[int, list[tuple[int, float]]] = {}
        self._good: dict[int, float] = {}
        if not skews.error_max_s:
            return
        dice = Dice(seed, "wall clocks")
        most = round(skews.error_max_s * SECOND)
        for replica in dice.pick_some(range(n), (n - 1) // 2):
            moments = [0, *sorted(dice.below(active_us) for _ in range(dice.below(_JUMPS + 1)))]
            self._bad[replica] = [(at, self._wrong(dice, most) / SECOND) for at in moments]
        good = round(GOOD * most)
        self._good = {replica: dice.between(-good, good) / SECOND for replica in range(n)}

    def _wrong(self, dice: Dice, most: int) -> int:
        """An error in microseconds: about the bound, far beyond it, or none."""
        size = dice.pick((0, most // 2, most, 2 * most, 20 * most, 3600 * SECOND))
        return dice.between(-size, size)

    def is_good(self, replica: int) -> bool:
        """Whether the clock of this replica is never wrong by much."""
        return replica not in self._bad

    def now_s(self, replica: int) -> float:
        """What the clock of this host shows, in seconds since 1970."""
        error_s = self._good.get(replica, 0.0)
        for at, wrong_s in self._bad.get(replica, ()):
            if at <= self._time.now:
                error_s = wrong_s
        return BEGIN_S + self._time.now / SECOND + error_s
