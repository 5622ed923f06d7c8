"""What one exploration lets happen, and how much of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from epaxos.protocol.values.messages import Batch, Message
from epaxos.verify.models.machine import NewReplica, new_replica

__all__ = ["Envelope", "Model", "loses_nothing", "writes"]


class Envelope(NamedTuple):
    """A message under way."""

    sender: int
    dest: int
    message: Message


def loses_nothing(envelope: Envelope) -> bool:
    """No reduction: every message may arrive."""
    return False


def writes(name: str) -> Batch:
    """A command called `name` that writes the one key there is: it interferes with every other."""
    return Batch((b"x",), (), name.encode(), 1)


@dataclass(frozen=True)
class Model:
    """The bounds of one exploration.  Within them everything happens, in every order.

    Any message that was sent may arrive now, later or never; with `duplicates` it may also arrive
    again, any number of times.
    """

    name: str
    n: int
    proposers: tuple[int, ...]
    """Who proposes each of the commands, all of which interfere; each is proposed at any time, or never."""
    recoveries: int = 0
    """So often some replica starts, or starts again, to recover an instance."""
    recoverers: frozenset[int] | None = None
    """Who recovers; None: anybody."""
    crashes: int = 0
    """So often some replica crashes and restarts from what was durable."""
    crashing: frozenset[int] | None = None
    """Who crashes; None: anybody."""
    syncs: bool = True
    """Whether what a step writes is durable by its end.  Otherwise what those that may crash write becomes
    durable in a step of its own, so that a crash may come between.  Those that never crash are as good as
    slow to send: only their own votes might count later than others' do, and here they do not."""
    duplicates: bool = True
    steps: int | None = None
    """Runs have so many steps at most."""
    recovered: frozenset[int] | None = None
    """Whose instances are recovered; None: anything that was proposed."""
    lost: Callable[[Envelope], bool] = loses_nothing
    """The reduction: which messages never arrive."""
    forgets_idle: bool = True
    """Whether messages that can have no effect any more are dropped (see `explorer`)."""
    new: NewReplica = new_replica

    def may_crash(self, replica: int) -> bool:
        """Whether the replica is among those that crash."""
        return self.crashes > 0 and (self.crashing is None or replica in self.crashing)

    @property
    def commands(self) -> tuple[tuple[int, Batch], ...]:
        """Who proposes what."""
        return tuple((proposer, writes(chr(ord("a") + at))) for at, proposer in enumerate(self.proposers))
