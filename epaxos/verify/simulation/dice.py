"""Chance that is the same on every machine and Python version.

Only two things of `random.Random` are leant on: the generator of `random()` and seeding by an
integer, both of which Python keeps stable.  Every concern draws from a stream of its own, named
beside the seed, so that leaving one thing out of a run does not change what the others draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

__all__ = ["Dice", "seeded"]

T = TypeVar("T")


def seeded(seed: int, *names: object) -> Random:
    """A generator for the stream that `names` name."""
    text = "/".join(map(str, (seed, *names)))
    return Random(int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big"))


class Dice:
    """One stream of chance."""

    def __init__(self, seed: int, *names: object) -> None:
        self._random = seeded(seed, *names).random

    def chance(self, probability: float) -> bool:
        """True with this probability; always draws."""
        return self._random() < probability

    def below(self, limit: int) -> int:
        """An integer from 0 up to, not including, `limit`."""
        return int(self._random() * limit)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, each as likely."""
        return choices[int(self._random() * len(choices))]

    def pick_weighted(self, choices: Sequence[tuple[T, int]]) -> T:
        """One of the choices, as likely as the weight beside it says."""
        rest = int(self._random() * sum(weight for _, weight in choices))
        for choice, weight in choices:
            rest -= weight
            if rest < 0:
                return choice
        raise ValueError("the weights are not positive")

    def pick_some(self, choices: Sequence[T], count: int) -> list[T]:
        """`count` different ones of the choices (all, when there are fewer), in random order."""
        rest = list(choices)
        return [rest.pop(self.below(len(rest))) for _ in range(min(count, len(rest)))]
