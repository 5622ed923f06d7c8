"""Chance that is the same on every computer and Python version.

It relies on two things of `random.Random` alone, which Python keeps stable: the generator behind `random()`
and seeding by an integer.  Every concern draws from a stream of its own, named beside the seed, so that a
run without one client or fault draws the same numbers for all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

__all__ = ["Dice", "seeded"]

T = TypeVar("T")


def seeded(seed: int, *names: object) -> Random:
    """The generator of the stream that `names` identify."""
    text = "/".join(map(str, (seed, *names)))
    return Random(int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big"))


class Dice:
    """One stream of chance."""

    def __init__(self, seed: int, *names: object) -> None:
        self._random = seeded(seed, *names).random

    def chance(self, probability: float) -> bool:
        """True with this probability.  Always draws one number."""
        return self._random() < probability

    def below(self, limit: int) -> int:
        """An integer from 0 up to, not including, `limit`."""
        return int(self._random() * limit)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely."""
        return choices[int(self._random() * len(choices))]

    def pick_weighted(self, choices: Sequence[tuple[T, int]]) -> T:
        """One of the choices, with a probability in proportion to the weight beside it."""
        rest = int(self._random() * sum(weight for _, weight in choices))
        for choice, weight in choices:
            rest -= weight
            if rest < 0:
                return choice
        raise ValueError("the weights are not positive")

    def pick_some(self, choices: Sequence[T], count: int) -> list[T]:
        """`count` different choices in random order; all of them when there are fewer."""
        rest = list(choices)
        return [rest.pop(self.below(len(rest))) for _ in range(min(count, len(rest)))]
