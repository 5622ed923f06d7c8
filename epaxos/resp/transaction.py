"""The commands that a client has queued behind MULTI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epaxos.interfaces import Command

__all__ = ["Transaction"]

OVERHEAD_BYTES = 64
"""Memory of a queued element beside its bytes, about."""

LONG = {
    b"COMMAND": 20, b"INFO": 5, b"CLIENT": 20, b"CONFIG": 10, b"PUBSUB": 5, b"SUBSCRIBE": 20,
    b"PSUBSCRIBE": 50, b"SSUBSCRIBE": 20, b"UNSUBSCRIBE": 20, b"PUNSUBSCRIBE": 20, b"SUNSUBSCRIBE": 20,
}  # fmt: skip
"""As how many commands one counts that the connection answers itself, where it takes long or its answer is
long."""


class Transaction:
    """Queued commands, with the handlers of those that the connection answers itself.

    `is_doomed`: EXEC runs nothing.
    """

    __slots__ = ("is_doomed", "own", "queued", "size_bytes")

    def __init__(self) -> None:
        self.queued: list[tuple[Command, Callable[..., Any] | None]] = []
        self.size_bytes = 0
        self.is_doomed = False
        self.own = 0
        """How many are answered by the connection; one with a long answer counts as several."""

    @property
    def has_own(self) -> bool:
        """Whether some are answered by the connection."""
        return self.own > 0

    def add(self, command: Command, handler: Callable[..., Any] | None) -> None:
        """`handler`: None when the replica runs the command."""
        self.queued.append((command, handler))
        self.size_bytes += sum(map(len, command)) + OVERHEAD_BYTES * len(command)
        if handler is not None:
            self.own += LONG.get(command[0].upper(), 1)

    def doom(self) -> None:
        """Nothing of it will run, so nothing is kept."""
        self.is_doomed = True
        self.queued.clear()
        self.size_bytes = 0
