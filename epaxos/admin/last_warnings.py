"""The last warnings of the log, for the page at `/`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

__all__ = ["LINES_MAX", "TEXT_MAX", "LastWarnings"]

LINES_MAX = 50
TEXT_MAX = 1000
"""The most characters of one line."""


@implementer(ILogObserver)
class LastWarnings:
    """Keeps them while it is started."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, str, str]] = deque(maxlen=LINES_MAX)

    def start(self) -> None:
        """See Upkeep."""
        globalLogPublisher.addObserver(self)

    def stop(self) -> None:
        """See Upkeep."""
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """See ILogObserver."""
        level = event.get("log_level")
        if level is not None and level >= LogLevel.warn:
            text = formatEvent(event)[:TEXT_MAX]
            self._lines.append((round(event["log_time"] * 1000), level.name, text))

    def lines(self) -> Sequence[tuple[int, str, str]]:
        """When, in milliseconds since 1970, how bad, and what; the newest first."""
        return list(reversed(self._lines))
