"""The bounds of one exploration: which events may happen in it, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from epaxos.protocol.values.messages import Batch, Message
from epaxos.verify.models.model_replica import NewReplica, new_replica

__all__ = ["NOBODY", "Envelope", "Model", "loses_nothing", "writes"]


NOBODY = -1
"""The sender of what any replica may have sent."""


class Envelope(NamedTuple):
    """A message of `epoch` under way."""

    sender: int
    dest: int
    message: Message
    epoch: int = 0


def loses_nothing(envelope: Envelope) -> bool:
    """Lose no message: every message may arrive."""
    return False


def writes(name: str) -> Batch:
    """A command called `name` that writes the only key, so that it interferes with every other command."""
    return Batch((b"x",), (), name.encode(), 1)


@dataclass(frozen=True)
class Model:
    """The bounds of one exploration.  Within them every event happens, in every order.

    Each message may arrive now, later or never; with `duplicates` it may also arrive again, any number
    of times.
    """

    name: str
    n: int
    proposers: tuple[int, ...]
    """The replica that proposes each command, at any time or never.  All commands interfere."""
    recoveries: int = 0
    """How often some replica starts, or starts again, to recover an instance."""
    recoverers: frozenset[int] | None = None
    """The replicas that recover; None: all."""
    crashes: int = 0
    """How often some replica crashes and restarts from its disk."""
    crashing: frozenset[int] | None = None
    """The replicas that crash; None: all."""
    syncs: bool = True
    """Whether the writes of a step are durable at its end.  Otherwise the writes of replicas that may crash
    become durable in a step of their own, so that a crash may come between.  A replica that never crashes
    would only send later; its own votes might count later than those of others, which is left out here."""
    hurries: bool = True
    """Whether waits for answers end.  Otherwise a leader never asks more replicas than it names."""
    duplicates: bool = True
    steps: int | None = None
    """The steps of a run, at most; None: no limit."""
    recovered: frozenset[int] | None = None
    """The rows whose instances are recovered; None: all."""
    lost: Callable[[Envelope], bool] = loses_nothing
    """The reduction: whether a message never arrives."""
    forgets_idle: bool = True
    """Whether messages that can have no effect any more leave the set (see `explorer`)."""
    new: NewReplica = new_replica

    def may_crash(self, replica: int) -> bool:
        """Whether the replica is among those that crash."""
        return self.crashes > 0 and (self.crashing is None or replica in self.crashing)

    @property
    def commands(self) -> tuple[tuple[int, Batch], ...]:
        """The proposer and the batch of each command."""
        return tuple((proposer, writes(chr(ord("a") + at))) for at, proposer in enumerate(self.proposers))
