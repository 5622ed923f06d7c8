"""Which keys were used lately, as far as this replica knows: what it has read, and what anybody has written.

It is no part of the state.  Names go into sets by their hashes, a set for each stretch of time, and the
oldest set is dropped: so a key costs nothing while nobody uses it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["Recent"]

GENERATIONS = 8
NAMES_MIN, NAMES_MAX = 64, 32_768
"""The bounds of the names of a generation, which is a GENERATIONS-th part of half of all keys within them.  A
set of NAMES_MAX grows, and is freed, in a millisecond."""


class Recent:
    """Ages of keys: 0 of those that were used last, GENERATIONS of those that are not known."""

    def __init__(self) -> None:
        self._generations: deque[set[int]] = deque([set()], GENERATIONS)
        self._names_max = NAMES_MIN

    def expect(self, keys: int) -> None:
        """There are so many keys."""
        self._names_max = min(max(NAMES_MIN, keys // (2 * GENERATIONS)), NAMES_MAX)

    def touch(self, names: Iterable[bytes], may_turn: bool = True) -> None:
        """These were used now.  `may_turn`: a new generation may begin, which it should not where most
        of them are about to go."""
        newest = self._generations[0]
        newest.update(map(hash, names))
        if may_turn and len(newest) >= self._names_max:
            self._generations.appendleft(set())

    def forget(self, name: bytes) -> None:
        """There is no such key any more."""
        for generation in self._generations:
            generation.discard(hash(name))

    def age(self, name: bytes) -> int:
        """How long ago it was used, in generations."""
        number = hash(name)
        for age, generation in enumerate(self._generations):
            if number in generation:
                return age
        return GENERATIONS

    def clear(self) -> None:
        """Forget all."""
        self._generations = deque([set()], GENERATIONS)
