"""Handing the interpreter lock to the event loop, out of the store's thread."""

from __future__ import annotations

import time

__all__ = ["CHUNK", "let_loop_run"]

CHUNK = 2000
"""After so many records or entries the event loop gets the interpreter lock.

They take about a millisecond; the interpreter alone would hand the lock over only every five, and
at each of the loop's system calls again.
"""
PAUSE_S = 0.0002


def let_loop_run() -> None:
    """Sleep for a moment."""
    time.sleep(PAUSE_S)
