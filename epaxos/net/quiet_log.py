"""Warnings about what others do wrong: each is logged once in a while, however often it happens."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

__all__ = ["Complaints"]


class Complaints:
    """Logs the same warning once in `interval_s` seconds, and at most `lines_max` warnings in that time.

    Strangers decide how much there is to complain about, so neither the log nor the memory of earlier
    warnings may grow with it.
    """

    def __init__(
        self, log: Logger, clock: IReactorTime, interval_s: float = 60.0, lines_max: int = 100
    ) -> None:
        self._log = log
        self.clock = clock
        self._interval_s = interval_s
        self._lines_max = lines_max
        self._since_s = clock.seconds()
        self._said: set[tuple[str, str]] = set()

    def warn(self, subject: str, reason: str) -> None:
        """Log `subject: reason`, unless that was logged in this interval."""
        now_s = self.clock.seconds()
        if now_s - self._since_s >= self._interval_s:
            self._since_s = now_s
            self._said.clear()
        if (subject, reason) in self._said or len(self._said) > self._lines_max:
            return
        self._said.add((subject, reason))
        if len(self._said) > self._lines_max:
            self._log.warn("too many complaints about other connections: silent for a while")
        else:
            self._log.warn("{subject}: {reason}", subject=subject, reason=reason)
