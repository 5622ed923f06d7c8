"""Where a replica is between its start and its end."""

from __future__ import annotations

from enum import Enum

__all__ = ["Phase"]


class Phase(Enum):
    """The value is a text for people."""

    RESTORING = "restores its data"
    """The event loop may stand still for long."""
    WAITING = "waits until every first member has been there once"
    SERVING = "runs"
    STOPPING = "stops"
