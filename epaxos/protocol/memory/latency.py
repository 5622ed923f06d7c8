"""How fast the other replicas answer, and which have left a question unanswered.

Three notions of "does not answer" exist, each for a purpose of its own, and safety depends on none:

- *suspected* (`failures`): nothing at all came for `suspect_after_s`, or all connections are lost.
  Others then recover the replica's instances.
- *unanswered* (`Latency` for PreAccept, `reads` for Read): a question of that kind was not answered in
  time.  The replica is asked such a question last until it answers one, however late.
- *slow* (`Latency`): the usual time from a PreAccept to its answer decides which replicas are asked first,
  and how long they may take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId

__all__ = ["Latency"]

WEIGHT = 0.25
"""The weight of the newest answer in the average, against all earlier ones."""
PROBES = 4
"""At most PROBES PreAccepts per `patience_s` go to every replica, to refresh the estimates."""


class Latency:
    """The usual time from a PreAccept to the answer of each other replica.

    One instance at a time is measured: the probe, whose PreAccept goes to all replicas, while other
    PreAccepts go to the named replicas alone.  An answer that takes longer than `patience_s` counts as
    `patience_s`.  Times are in seconds on the clock of `Replica.tick`.
    """

    def __init__(self, id: int, epoch: Epoch, patience_s: float) -> None:
        n = epoch.n
        self._others = [(id + step) % n for step in range(1, n)]
        self._patience_s = patience_s
        self._answer_s: dict[int, float] = {}
        self._probe: InstanceId | None = None
        self._asked_at = -math.inf
        self._awaited: set[int] = set()
        self._unanswered: set[int] = set()

    def asks_all(self, id: InstanceId, now: float) -> bool:
        """Whether the PreAccept of `id`, which leaves now, has to go to all other replicas.

        It has to when `id` becomes the next probe, or while the time of some replica is unknown.
        """
        since_s = now - self._asked_at
        if since_s < (self._patience_s if self._awaited else self._patience_s / PROBES):
            return len(self._answer_s) < len(self._others)
        for replica in self._awaited:
            self._note(replica, since_s)
        self._probe = id
        self._asked_at = now
        self._awaited = set(self._others)
        return True

    def on_silence(self, replicas: Iterable[int]) -> None:
        """These replicas were named, and have not answered in time."""
        self._unanswered.update(replicas)

    def on_answer(self, id: InstanceId, replica: int, now: float) -> None:
        """`replica` has answered the PreAccept of `id`."""
        self._unanswered.discard(replica)
        if id == self._probe and replica in self._awaited:
            self._awaited.discard(replica)
            self._note(replica, now - self._asked_at)

    def _note(self, replica: int, seconds: float) -> None:
        seconds = min(seconds, self._patience_s)  # a probe may end late, when no PreAccept leaves for a while
        before = self._answer_s.get(replica, seconds)
        self._answer_s[replica] = before + WEIGHT * (seconds - before)

    def usual_s(self, replicas: Iterable[int]) -> float:
        """The usual time of the slowest of `replicas`; a replica whose time is unknown counts 0."""
        return max((self._answer_s.get(replica, 0.0) for replica in replicas), default=0.0)

    def fastest(self, count: int, is_last_resort: Callable[[int], bool]) -> tuple[int, ...]:
        """The `count` other replicas to ask, sorted by number; fewer only when there are fewer.

        Replicas of unknown time come first, the next in number before the others, then the fastest.
        Those that left a PreAccept unanswered come after these, and those of which `is_last_resort` is true
        at the end.
        """

        def distance(replica: int) -> tuple[bool, bool, float]:
            unanswered = replica in self._unanswered
            return is_last_resort(replica), unanswered, self._answer_s.get(replica, 0.0)

        return tuple(sorted(sorted(self._others, key=distance)[:count]))
