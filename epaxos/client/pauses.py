"""How long to wait until a replica that does not serve is tried again."""

from __future__ import annotations

from random import Random

__all__ = ["PAUSE_HURRIED_MAX_S", "Pauses"]

PAUSE_FIRST_S = 0.05
PAUSE_MAX_S = 5.0
"""Each pause is twice the one before, up to this."""
PAUSE_HURRIED_MAX_S = 0.5
"""Up to this while calls wait and no replica serves."""


class Pauses:
    """Pauses that double, each with a jitter of up to half of it, so that clients do not come all at once."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._next_s = PAUSE_FIRST_S

    def take(self, is_hurried: bool) -> float:
        """The next pause in seconds."""
        limit_s = PAUSE_HURRIED_MAX_S if is_hurried else PAUSE_MAX_S
        pause_s = min(self._next_s, limit_s)
        self._next_s = min(self._next_s * 2, PAUSE_MAX_S)
        return pause_s * self._random.uniform(0.5, 1)

    def reset(self) -> None:
        """Begin again with the shortest one."""
        self._next_s = PAUSE_FIRST_S
