"""Who wants to become a member, as far as a member knows."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.protocol.values.control import Candidate
from epaxos.protocol.values.membership import Member

__all__ = ["CAUGHT_UP_BYTES", "Candidates"]

CANDIDATES_MAX = 16
"""Candidates that are remembered; of more, those that were heard of last."""
FRESH_S = 5.0
"""Seconds after which a candidate that says nothing any more is forgotten: it speaks every second."""
CAUGHT_UP_BYTES = 1_000_000
"""A candidate that lacks at most this of the state can be a member within about a second."""


class Candidates:
    """The candidates that were heard lately, on the clock `now`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._heard: dict[int, tuple[Candidate, float]] = {}

    def on_candidate(self, candidate: Candidate) -> None:
        """A candidate says who and how far it is."""
        number = candidate.member.number
        self._heard.pop(number, None)
        self._heard[number] = candidate, self._now()
        if len(self._heard) > CANDIDATES_MAX:
            del self._heard[next(iter(self._heard))]

    def all(self) -> list[Candidate]:
        """Those that were heard lately, by number."""
        since = self._now() - FRESH_S
        self._heard = {number: one for number, one in self._heard.items() if one[1] >= since}
        return [candidate for _, (candidate, _) in sorted(self._heard.items())]

    def find(self, member: Member) -> Candidate | None:
        """What `member` said of itself lately; None when it was not heard."""
        found = (one for one in self.all() if one.member[:2] == member[:2])
        return next(found, None)

    def is_caught_up(self, member: Member) -> bool:
        """Whether `member` has said lately that it lacks hardly anything of the state."""
        candidate = self.find(member)
        return candidate is not None and candidate.behind is not None and candidate.behind <= CAUGHT_UP_BYTES
