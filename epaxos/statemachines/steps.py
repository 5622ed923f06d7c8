"""What is done in steps, done at once."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.interfaces import Reply, Steps

__all__ = ["replies_of"]


def replies_of(steps: Steps) -> Sequence[Reply]:
    """Take all steps at once, also those behind the replies, and return the replies."""
    given: Sequence[Reply] = ()
    for replies in steps:
        if replies is not None:
            given = replies
    return given
