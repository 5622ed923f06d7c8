"""Handing the interpreter lock to the event loop, out of the store's thread."""

from __future__ import annotations

import time

__all__ = ["let_loop_run"]

PAUSE_S = 0.0002


def let_loop_run() -> None:
    """Sleep for a moment: the interpreter alone would hand the lock over only when its switch interval is
    over, and at each of the loop's system calls again."""
    time.sleep(PAUSE_S)
