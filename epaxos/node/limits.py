"""The settings of one replica about batches, time-outs and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Batching"]


@dataclass(frozen=True)
class Batching:
    """How a replica gathers commands into batches, and what bounds its work.

    `config/file.py` reads these settings and checks their bounds.
    """

    commands_max: int = 1000
    """The number of commands in a batch.  What one client sends together may exceed it."""
    bytes_max: int = 1_000_000
    """The size of a batch in bytes, about.  What one client sends together may exceed it."""
    window: int = 16
    """The number of own instances in flight.  Commands that come meanwhile join later batches."""
    request_timeout_s: float = 5.0
    """A client whose commands are not answered within this time, in seconds, is told so."""
    checkpoint_s: float = 1.0
    """The time between two checkpoints, in seconds.  There is none while nothing changes."""
    command_bytes_max: int = 16_000_000
    """The size of one command, in bytes.  A longer command is refused."""
