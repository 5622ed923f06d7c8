"""Who answers fastest: which replicas a command leader names as its fast quorum.

Only speed depends on it, never safety.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from epaxos.protocol.ids import InstanceId

__all__ = ["Nearness"]

WEIGHT = 0.25
"""Of the newest answer, against all before it."""


class Nearness:
    """How long each other replica takes from a PreAccept to its answer, as one instance at a time shows.

    `patience_s`: an answer that takes longer is not waited for any more, and counts as that long.
    """

    def __init__(self, id: int, n: int, patience_s: float) -> None:
        self._others = [(id + step) % n for step in range(1, n)]
        self._patience_s = patience_s
        self._answer_s: dict[int, float] = {}
        self._probe: InstanceId | None = None
        self._asked_at = 0.0
        self._silent: set[int] = set()

    def asked(self, id: InstanceId, now: float) -> None:
        """A PreAccept of `id` leaves for all others."""
        if self._silent:
            if now - self._asked_at < self._patience_s:
                return
            for replica in self._silent:
                self._note(replica, now - self._asked_at)
        self._probe = id
        self._asked_at = now
        self._silent = set(self._others)

    def answered(self, id: InstanceId, replica: int, now: float) -> None:
        """`replica` has answered the PreAccept of `id`."""
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
        """The `count` replicas that answer fastest, sorted; suspected ones only when there are not
        enough others.  Of those that are not known the next in number come first."""
        answer_s = self._answer_s
        by_nearness = sorted(
            self._others, key=lambda replica: (is_suspected(replica), answer_s.get(replica, 0.0))
        )
        return tuple(sorted(by_nearness[:count]))
