"""What the frontend and the state machines both say of EPAXOS ONCE (docs: using/exactly-once)."""

from __future__ import annotations

from epaxos.interfaces.commands import CommandError
from epaxos.interfaces.redis import text_of

__all__ = ["not_inside"]


def not_inside(name: bytes) -> CommandError:
    """The error for the command `name` inside of ONCE."""
    return CommandError(f"ONCEREFUSED '{text_of(name)}' is not allowed inside EPAXOS ONCE: it was not run")
