"""How a replica gathers client commands into instances, and when it writes checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Batching"]


@dataclass(frozen=True)
class Batching:
    """The bounds of one replica's work; `config.py` reads and bounds them."""

    commands_max: int = 1000
    """An instance carries about so many commands at most (more when one client sent them together)."""
    bytes_max: int = 1_000_000
    """An instance carries about so many bytes at most (more when one client sent them together)."""
    window: int = 16
    """So many own instances are in flight at most; what comes meanwhile makes the next batches bigger."""
    request_timeout_s: float = 5.0
    """A client whose commands no quorum answered for so long is told so."""
    checkpoint_s: float = 1.0
    """The state is made durable this often, when it changed."""
    command_bytes_max: int = 16_000_000
    """A longer command is refused."""
