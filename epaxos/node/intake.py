"""Commands that were submitted together and do not fit into one batch: in parts, answered together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

from epaxos.interfaces import Command, CommandError, Outcome, Reply, Unavailable

__all__ = ["Part", "split"]

Part = tuple[Sequence[Command], Callable[[Outcome], None]]
"""Some of the commands, and whom to tell what became of them."""


def split(commands: Sequence[Command], done: Callable[[Outcome], None], count: int) -> list[Part]:
    """The commands in about `count` parts, in order.

    Once each part's outcome is told, `done` gets the replies of all.  Those of a part that failed
    are errors: the others may have run.
    """
    length = -(-len(commands) // count)
    parts = [commands[start : start + length] for start in range(0, len(commands), length)]
    whole = _Whole(len(parts), done)
    return [(part, partial(whole.on_part, index, len(part))) for index, part in enumerate(parts)]


class _Whole:
    """What is known of the outcome of all parts."""

    def __init__(self, count: int, done: Callable[[Outcome], None]) -> None:
        self._replies: list[Sequence[Reply]] = [()] * count
        self._missing = count
        self._done = done

    def on_part(self, index: int, length: int, outcome: Outcome) -> None:
        """The outcome of a part of `length` commands.  To be called once for each."""
        if isinstance(outcome, Unavailable):
            outcome = [CommandError(str(outcome))] * length
        self._replies[index] = outcome
        self._missing -= 1
        if not self._missing:
            self._done(list(chain.from_iterable(self._replies)))
