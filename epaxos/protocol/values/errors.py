"""The error of a replica whose own code breaks a rule of the protocol."""

from __future__ import annotations

__all__ = ["InvariantError"]


class InvariantError(Exception):
    """This replica is about to break a rule on which safety depends, so its own code is wrong.

    It is raised by an `if` instead of an `assert`, because `python -O` removes asserts.  No message of
    a peer causes it.
    """
