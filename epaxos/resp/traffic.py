"""Counts what clients do, and notes the time of the current turn."""

from __future__ import annotations

__all__ = ["Traffic"]


class Traffic:
    """Counters for the section `Stats` of `INFO`; `turn_s`: when a client was last heard, on the clock of
    the server."""

    def __init__(self, now_s: float) -> None:
        self.turn_s = now_s
        self.connections_received = 0
        self.connections_rejected = 0
        self.commands_processed = 0

    def reset(self) -> None:
        """Count anew (`CONFIG RESETSTAT`)."""
        self.connections_received = self.connections_rejected = self.commands_processed = 0
