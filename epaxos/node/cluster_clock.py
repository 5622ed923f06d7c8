"""The clock that the members have in common: that of this host, and what it differs from the others'.

Heartbeats carry the clocks of their senders, and echo what was heard of the receiver.  So each member knows
the round trip, and the clock of each other member to within half of it.  The cluster clock goes by the
median of all of them; the first clocks of a few hosts may be wrong by years.

Nothing that is safe depends on it: it says when a key is due, and whoever leads a batch puts its time into
the batch (docs: concepts/expiry).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import IClusterClock
from epaxos.protocol.values.clocks import NOT_HEARD, Clocks, Echo

__all__ = ["CLOCK_ERROR_MAX_S", "SETTLE_S", "ClusterClock"]

_log = Logger()

CLOCK_ERROR_MAX_S = 0.5
"""How far a clock may be off where nobody sets another bound."""
SETTLE_S = 1.0
"""After a start, the clocks of a majority are waited for until this time has passed since a majority was met.
Clocks come with the first Heartbeats, but those of members of version 1 never do."""
FASTEST, SLOWEST = 1.5, 0.5
"""After a jump the cluster clock runs at one of these rates until it has caught up, so that no key lives less
than two thirds of its time, or more than twice as long."""
FRESH_MS = 30_000.0
"""What was heard of a clock counts for this time."""
DRIFT = 0.0005
"""What was measured is taken to get worse by this share of the time that has passed: the rate at which
hosts correct their clocks is no higher."""
LOOK_MS = 20.0
"""A clock that is trusted is looked at again after this time: Heartbeats may come by hundreds a second."""
ROUNDING_MS = 1.0
"""Each time is a whole number of milliseconds."""


class _Heard(NamedTuple):
    """The clock of another member, less the own steady clock, as it was measured at `at_ms` of that clock.

    `error_ms`: how far the measurement may be off.
    """

    skew_ms: float
    error_ms: float
    at_ms: float

    def error_at(self, at_ms: float) -> float:
        """How far it may be off by now."""
        return self.error_ms + DRIFT * (at_ms - self.at_ms)


@implementer(IClusterClock)
class ClusterClock:
    """The cluster clock of one replica.

    `now()`: seconds on a clock that never goes back (ITimeoutService).  `wall()`: seconds since 1970, which
    may jump.  `error_max_s`: a clock that is further off the median is not trusted.  `settle_s`: for how long
    the clocks of a majority are waited for after it was met.

    `is_trusted`: whether it may lead commands with a time.  It may while a majority of the members, this one
    included, was heard, the clock of this host is not too far off their median, and the cluster clock is not
    too far off those of the others that are trusted.  `why_not`: why it may not, for people.  `offset_ms`:
    the clock of this host less the median.  `is_settling`: see IClusterClock; `settles_by`: when it ends at
    the latest, on the clock `now`, None while that is not known.

    `look` has to be called several times a second; `stamp` and `on_clocks` call it, within LOOK_MS.
    """

    def __init__(
        self,
        now: Callable[[], float],
        wall: Callable[[], float],
        error_max_s: float = CLOCK_ERROR_MAX_S,
        settle_s: float = 0.0,
    ) -> None:
        self.is_trusted = False
        self.is_settling = settle_s > 0
        self.settles_by: float | None = None
        self.why_not = ""
        self.offset_ms = 0.0
        self._now = now
        self._wall = wall
        self._error_max_ms = error_max_s * 1000
        self._settle_s = settle_s
        self._met: set[int] = set()
        self._own = -1
        self._members: Sequence[int] = ()
        self._heard: dict[int, _Heard] = {}
        self._leads: dict[int, float] = {}  # of trusted cluster clocks over those of their hosts
        self._echoes: dict[int, tuple[int, float]] = {}  # what came last, and when
        self._was_trusted = self._is_known = self._is_told = False
        self._at_ms = now() * 1000
        self._looked_ms = self._at_ms
        self._skew_ms = wall() * 1000 - self._at_ms  # of what the cluster clock goes by
        self._value_ms = self._at_ms + self._skew_ms

    def move(self, own: int, members: Sequence[int]) -> None:
        """Replica `own` works in an epoch with these members, by row."""
        self._own = own
        self._members = members
        for table in (self._heard, self._leads, self._echoes):
            for gone in [number for number in table if number not in members]:
                del table[gone]
        self.look()

    # -- what it says

    def now_ms(self) -> int:
        """Milliseconds since 1970; never less than before, once it was trusted."""
        at_ms = self._now() * 1000
        passed_ms = at_ms - self._at_ms
        due_ms = at_ms + self._skew_ms
        self._value_ms = min(
            max(due_ms, self._value_ms + SLOWEST * passed_ms), self._value_ms + FASTEST * passed_ms
        )
        self._at_ms = at_ms
        return int(self._value_ms)

    def look(self) -> None:
        """Look at the clock of this host, and at what was heard: at least several times a second."""
        self.now_ms()
        at_ms = self._looked_ms = self._at_ms
        own_ms = self._wall() * 1000 - at_ms
        heard = {number: one.skew_ms for number, one in self._heard.items() if at_ms - one.at_ms <= FRESH_MS}
        middle_ms = median([own_ms, *heard.values()])
        self._skew_ms = middle_ms
        self.offset_ms = own_ms - middle_ms
        clocks = [heard[number] + lead for number, lead in self._leads.items() if number in heard]
        if not self._was_trusted:  # nobody has relied on it
            self._value_ms = at_ms + (median(clocks) if clocks else middle_ms)
        ahead_ms = self._value_ms - at_ms
        self._judge(len(heard) + 1, ahead_ms - median([ahead_ms, *clocks]))
        if self.is_settling:
            self._settle(at_ms / 1000)

    def _look_again(self) -> None:
        """Look, unless all is well and the last time is not long ago."""
        self.now_ms()
        if self.is_settling or not self.is_trusted or self._at_ms - self._looked_ms >= LOOK_MS:
            self.look()

    def _settle(self, now: float) -> None:
        met = len(self._met.intersection(self._members)) + 1
        if self.settles_by is None and 2 * met > len(self._members) > 0:
            self.settles_by = now + self._settle_s
        is_over = self.settles_by is not None and now >= self.settles_by
        self.is_settling = not (self._is_known or is_over)

    def _judge(self, heard: int, ahead_ms: float) -> None:
        """Whether the clock is to be trusted, when `heard` members were heard, and it is `ahead_ms` ahead of
        those that are trusted."""
        off_ms = max(self.offset_ms, ahead_ms, key=abs)
        is_off = abs(off_ms) > self._error_max_ms
        self._is_known = 2 * heard > len(self._members) > 0
        if not self._is_known:
            self.why_not = "the clocks of a majority of the members were not heard"
        elif is_off:
            what = "of this host" if off_ms == self.offset_ms else "that has not caught up"
            self.why_not = (
                f"the clock {what} is {abs(off_ms) / 1000:.3f} s {'ahead of' if off_ms > 0 else 'behind'} the"
                " median of the members"
            )
        else:
            self.why_not = ""
        self.is_trusted = not self.why_not
        self._was_trusted = self._was_trusted or self.is_trusted
        self._tell(is_off and not self.is_trusted)

    def _tell(self, is_off: bool) -> None:
        if is_off is self._is_told or not (is_off or self.is_trusted):
            return
        self._is_told = is_off
        if is_off:
            _log.warn(
                "replica {id}: no command with a time is led here: {why}", id=self._own, why=self.why_not
            )
        else:
            _log.info("replica {id}: the clock is right again", id=self._own)

    def status(self) -> dict[str, Any]:
        """What `GET /status` shows of it.

        `offset_s` is None while it is not known, and `why_not` while it is to be trusted."""
        self.look()
        offset_s = round(self.offset_ms / 1000, 3) if self._is_known else None
        return {"offset_s": offset_s, "trusted": self.is_trusted, "why_not": self.why_not or None}

    # -- what goes round

    def stamp(self) -> Clocks:
        """What a Heartbeat that leaves now tells of the clocks."""
        self._look_again()
        at_ms = self._at_ms
        return Clocks(
            int(at_ms) + 1,
            int(self._wall() * 1000),
            int(self._value_ms) if self.is_trusted else 0,
            tuple(self._echo(number, at_ms) for number in self._members),
        )

    def _echo(self, number: int, at_ms: float) -> Echo:
        if number not in self._echoes:
            return NOT_HEARD
        echoed_ms, came_ms = self._echoes[number]
        return Echo(echoed_ms, int(at_ms - came_ms))

    def on_met(self, row: int) -> None:
        """The member of this row was heard, and tells no clocks: it is of version 1."""
        if self.is_settling:
            self._met.add(self._members[row])

    def on_clocks(self, row: int, clocks: Clocks) -> bool:
        """These came from the member of this row.  Returns whether it waits for an echo."""
        at_ms = self._now() * 1000
        number = self._members[row]
        self.on_met(row)
        self._echoes[number] = clocks.at_ms, at_ms
        if clocks.cluster_ms:
            self._leads[number] = clocks.cluster_ms - clocks.wall_ms
        else:
            self._leads.pop(number, None)
        echo = clocks.echoes[self._members.index(self._own)]
        if not echo.at_ms:
            return True
        round_trip_ms = at_ms + 1 - echo.at_ms - echo.held_ms
        if round_trip_ms >= -ROUNDING_MS:  # it is the echo of what this process said
            self._on_measured(number, clocks.wall_ms, max(0.0, round_trip_ms), at_ms)
        self._look_again()
        return False

    def _on_measured(self, number: int, wall_ms: int, round_trip_ms: float, at_ms: float) -> None:
        """Take what was measured unless the measurement before is better.  When both cannot be true, the
        clock was set in between."""
        one = _Heard(wall_ms + round_trip_ms / 2 - at_ms, round_trip_ms / 2 + ROUNDING_MS, at_ms)
        before = self._heard.get(number)
        if one.error_ms > self._error_max_ms:
            return
        if (
            before is None
            or one.error_ms <= before.error_at(at_ms)
            or abs(one.skew_ms - before.skew_ms) > one.error_ms + before.error_at(at_ms)
        ):
            self._heard[number] = one
