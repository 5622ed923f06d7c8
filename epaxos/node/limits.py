"""The settings of one replica about batches, time-outs, checkpoints and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Batching", "Keep"]


@dataclass(frozen=True)
class Batching:
    """How a replica gathers commands into batches, and what bounds its work.

    `config/settings.py` declares these settings with their defaults and bounds.
    """

    commands_max: int
    """The number of commands in a batch.  What one client sends together may exceed it."""
    bytes_max: int
    """The size of a batch in bytes, about.  What one client sends together may exceed it."""
    window: int
    """The number of own instances in flight.  Commands that come meanwhile join later batches."""
    request_timeout_s: float
    """A client whose commands are not answered within this time, in seconds, is told so."""
    checkpoint_s: float
    """The time between two checkpoints, in seconds.  There is none while nothing changes."""
    command_bytes_max: int
    """The size of one command, in bytes.  A longer command is refused."""


class Keep(NamedTuple):
    """How much a replica holds for members that have not executed it, before the next epoch begins.

    `bytes` of memory, overhead included, about.
    """

    instances: int = 50_000
    bytes: int = 256 << 20
