"""Who answers fastest: which replicas a command leader names as its fast quorum.

Only speed depends on it, never safety.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId

__all__ = ["Nearness"]

WEIGHT = 0.25
"""Of the newest answer, against all before it."""
PROBES = 4
"""At most so many PreAccepts go to all in the time that an answer is waited for."""


class Nearness:
    """How long each other replica takes from a PreAccept to its answer, as one instance at a time shows.

    That one is a probe: its PreAccept goes to all, while others go to those that were named alone.
    `patience_s`: an answer that takes longer is not waited for any more, and counts as that long.
    """

    def __init__(self, id: int, epoch: Epoch, patience_s: float) -> None:
        n = epoch.n
        self._others = [(id + step) % n for step in range(1, n)]
        self._patience_s = patience_s
        self._answer_s: dict[int, float] = {}
        self._probe: InstanceId | None = None
        self._asked_at = -math.inf
        self._silent: set[int] = set()
        self._missed: set[int] = set()

    def asks_all(self, id: InstanceId, now: float) -> bool:
        """Whether the PreAccept of `id`, which leaves now, is to go to all others: it is the next probe,
        or there are some of which nothing is known."""
        since_s = now - self._asked_at
        if since_s < (self._patience_s if self._silent else self._patience_s / PROBES):
            return len(self._answer_s) < len(self._others)
        for replica in self._silent:
            self._note(replica, since_s)
        self._probe = id
        self._asked_at = now
        self._silent = set(self._others)
        return True

    def missed(self, replicas: Iterable[int]) -> None:
        """These were named, and their answers were waited for in vain."""
        self._missed.update(replicas)

    def answered(self, id: InstanceId, replica: int, now: float) -> None:
        """`replica` has answered the PreAccept of `id`."""
        self._missed.discard(replica)
        if id == self._probe and replica in self._silent:
            self._silent.discard(replica)
            self._note(replica, now - self._asked_at)

    def _note(self, replica: int, seconds: float) -> None:
        seconds = min(seconds, self._patience_s)  # it may have been silent as long as nobody asked
        known = self._answer_s.get(replica, seconds)
        self._answer_s[replica] = known + WEIGHT * (seconds - known)

    def usual_s(self, replicas: Iterable[int]) -> float:
        """How long the slowest of these usually takes; 0 when that is not known."""
        return max((self._answer_s.get(replica, 0.0) for replica in replicas), default=0.0)

    def nearest(self, count: int, is_suspected: Callable[[int], bool]) -> tuple[int, ...]:
        """The `count` replicas that answer fastest, sorted; suspected ones, and before them those that
        were missed and have not answered since, only when there are not enough others.  Of those that
        are not known the next in number come first."""

        def distance(replica: int) -> tuple[bool, bool, float]:
            return is_suspected(replica), replica in self._missed, self._answer_s.get(replica, 0.0)

        return tuple(sorted(sorted(self._others, key=distance)[:count]))
