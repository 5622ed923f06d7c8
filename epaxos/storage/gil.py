"""Hands the interpreter lock from the store's thread to the event loop."""

from __future__ import annotations

import time

__all__ = ["let_loop_run"]

PAUSE_S = 0.0002
"""The length of the sleep, in seconds."""


def let_loop_run() -> None:
    """Sleep for PAUSE_S.

    Without the sleep, the interpreter would hand the lock over only after its switch interval, and the loop
    would wait as long again after each of its system calls.
    """
    time.sleep(PAUSE_S)
