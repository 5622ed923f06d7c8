"""The bounds of a model in which the epoch turns, and what is said in it beside the messages of the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from epaxos.interfaces import EpochRecord
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.messages import Batch
from epaxos.verify.models.model import Model

__all__ = ["Acknowledged", "Broken", "Decided", "GivenState", "Opened", "Ran", "TurnModel", "second_epoch"]


def second_epoch(n: int, uuid: int) -> Membership:
    """Epoch 1 of a cluster of n, which the first turn calls `uuid`."""
    return Membership(uuid, 1, VERSION, tuple(Member(number, number + 1) for number in range(n)))


@dataclass(frozen=True)
class TurnModel(Model):
    """A model in which epoch 0 may end, once.  Recoveries are of instances that the recoverer holds."""

    turners: tuple[int, ...] = ()
    """The replicas of which each proposes, at any time of epoch 0 or never, the instance R that ends it.  As
    in the first turn of an older cluster, each makes another uuid, so that there may be two successors."""
    installers: frozenset[int] = frozenset()
    """The replicas that may install, at any time, the state of one that has opened epoch 1 (T8)."""

    @property
    def commands(self) -> tuple[tuple[int, Batch], ...]:
        """The proposer and the batch of each command, and of each R."""
        turns = tuple((turner, Batch.opening(second_epoch(self.n, turner + 1))) for turner in self.turners)
        return super().commands + turns


class GivenState(NamedTuple):
    """The durable state of a replica in epoch 1, as another one may install it.

    `applied` are the commands that made it.  `executed` and `beyond` are the instances of epoch 1 among
    what has run; `began` is how many commands ran in epoch 0.
    """

    record: EpochRecord
    applied: tuple[str, ...]
    began: int
    executed: Deps
    beyond: tuple[InstanceId, ...]


class Decided(NamedTuple):
    """An instance was handed to execution."""

    epoch: int
    id: InstanceId
    batch: Batch
    deps: Deps


class Ran(NamedTuple):
    """At some replica these commands have made the state, in this order, the last of them in `epoch`."""

    epoch: int
    applied: tuple[str, ...]


class Opened(NamedTuple):
    """Some replica has ended epoch 0 with the instance `by`, after these commands."""

    by: InstanceId
    successor: Membership
    applied: tuple[str, ...]


class Acknowledged(NamedTuple):
    """A client was told that its command has run, which it did in `epoch`."""

    epoch: int
    command: str


class Broken(NamedTuple):
    """A replica has found out by itself that a rule is broken."""

    text: str
