"""Trying something less often while it is of no use."""

from __future__ import annotations

__all__ = ["UNTRIED_MAX", "Backoff"]

UNTRIED_MAX = 63
"""After tries in vain, so many occasions at most go by without another."""


class Backoff:
    """Whether to try on the next occasion: after a try in vain some go by, twice as many every time."""

    def __init__(self) -> None:
        self._untried = 0
        self._untried_left = 0

    def may_try(self) -> bool:
        """Asked on each occasion."""
        if not self._untried_left:
            return True
        self._untried_left -= 1
        return False

    def was_of_use(self) -> None:
        """The latest try was; the next one in vain counts as the first."""
        self._untried = 0

    def was_in_vain(self) -> None:
        self._untried_left = self._untried = min(2 * self._untried + 1, UNTRIED_MAX)
