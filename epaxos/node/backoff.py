"""Exponential backoff in occasions, not in time."""

from __future__ import annotations

__all__ = ["UNTRIED_MAX", "Backoff"]

UNTRIED_MAX = 63
"""The largest number of occasions that are skipped after a try that failed."""


class Backoff:
    """Whether to try on the next occasion.

    After a try that failed, some occasions are skipped: 1, then 3, then 7, up to UNTRIED_MAX.
    """

    def __init__(self) -> None:
        self._untried = 0
        self._untried_left = 0

    def may_try(self) -> bool:
        """Whether to try now.  To be asked once on each occasion."""
        if not self._untried_left:
            return True
        self._untried_left -= 1
        return False

    def on_success(self) -> None:
        """The latest try succeeded: the next failure counts as the first."""
        self._untried = 0

    def on_failure(self) -> None:
        """The latest try failed."""
        self._untried_left = self._untried = min(2 * self._untried + 1, UNTRIED_MAX)
