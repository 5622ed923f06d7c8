"""Calls that are due when a process does something of a chosen kind, for faults that aim at a moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from epaxos.verify.simulation.network import Carried

__all__ = ["Traps"]


@dataclass
class _Trap:
    kind: str
    left: int
    after: bool
    spring: Callable[[], None]


class Traps:
    """The traps of one process.

    A kind is that of a message that leaves, such as `Commit`; `Installation`: the state of another replica
    is handed in to be written; `Installed`: it is durable, and the process does not know it yet.
    """

    def __init__(self) -> None:
        self._traps: list[_Trap] = []

    def set(self, kind: str, count: int, spring: Callable[[], None], after: bool = False) -> None:
        """Call `spring` before the process does this for the `count`-th time; with `after` just after
        that."""
        self._traps.append(_Trap(kind, count, after, spring))

    def clear(self) -> None:
        """Remove all traps."""
        self._traps = []

    def on_send(self, after: bool, epoch: int, messages: Sequence[Carried]) -> None:
        """Messages leave together, which counts once for each kind."""
        if self._traps:
            for kind in dict.fromkeys(type(message).__name__ for message in messages):
                self.spring(kind, after)

    def spring(self, kind: str, after: bool) -> None:
        """Something of this kind is about to happen, or, with `after`, has just happened."""
        for trap in tuple(self._traps):
            if trap.after is after and trap.kind == kind:
                trap.left -= 1
                if trap.left <= 0:
                    self._traps.remove(trap)
                    trap.spring()
