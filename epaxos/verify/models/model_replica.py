"""One replica of a model: the real core and its disk, as a value that can be copied.

A step lets one event happen to a replica, and returns its effects.  There is no clock: the time of the
core stands still, and a wait ends when the explorer says so.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable, Container, Mapping
from random import Random
from typing import Any, NamedTuple

from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance, InstanceRecord
from epaxos.protocol.values.messages import NOP, Batch, Message
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.quorums import Quorums
from epaxos.protocol.values.timing import Timing

__all__ = [
    "Decision",
    "Disk",
    "Effects",
    "ModelReplica",
    "NewReplica",
    "dump",
    "load",
    "naming",
    "new_replica",
    "with_equal_answers",
]

NewReplica = Callable[[int, int], Replica]
"""Makes the core of a replica: its number and the number of replicas are given."""

_TIMING = Timing(fast_path_wait_s=0.0)
"""A wait for the fast path is over at the next tick, and the explorer decides when that comes."""


class _NoRandom(Random):
    """Returns a constant: only the length of a back-off is random, and no time passes here."""

    def random(self) -> float:
        return 0.5


_RANDOM = _NoRandom()


def new_replica(
    id: int,
    n: int,
    quorums: Quorums | None = None,
    far: Container[int] = (),
    epoch: Epoch | None = None,
    previous: Replica | None = None,
) -> Replica:
    """The core of the product, in `epoch`, which is the first by default.

    It has the latency of every other replica already, so that it asks the named ones alone until a wait ends.
    The latency is 0, and 1 s for the replicas in `far`; or that of `previous`, the core of the epoch before.
    """
    epoch = epoch or Epoch.first(n)
    core = Replica(id, epoch, timing=_TIMING, random=_RANDOM, quorums=quorums, previous=previous)
    if previous is not None:
        return core
    latency = core._state.latency
    probe = InstanceId(id, 0)
    latency.asks_all(probe, 0.0)
    for other in range(n):
        if other != id:
            latency.on_answer(probe, other, 1.0 if other in far else 0.0)
    return core


def with_equal_answers(id: int, n: int) -> Replica:
    """The core with a fast path of any n-e equal answers, as in EPaxos*, whatever n is."""
    return new_replica(id, n, Quorums.of(Epoch.first(n), named=False))


def naming(named: Mapping[int, int]) -> NewReplica:
    """Makes cores of which replica r always names `named[r]`, because all others are far."""

    def new(id: int, n: int) -> Replica:
        return new_replica(id, n, far={other for other in range(n) if other != named.get(id, other)})

    return new


class Decision(NamedTuple):
    """A replica has handed a decided instance to execution."""

    id: InstanceId
    batch: Batch
    deps: Deps


class Effects:
    """The effects of one step of a replica."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, Message]] = []
        self.decisions: list[Decision] = []
        self.proposed: InstanceId | None = None

    def decide(self, instances: list[Instance]) -> None:
        """Note that these were handed to execution."""
        for instance in instances:
            assert instance.cmd is not None
            self.decisions.append(Decision(instance.id, instance.cmd, instance.deps))


class _Write(NamedTuple):
    """What one output wrote, and the outputs that become durable with it."""

    batches: list[tuple[InstanceId, Batch]]
    records: list[InstanceRecord]
    reserved: int | None
    outputs: list[Output]


class Disk:
    """The records that survive a crash."""

    def __init__(self) -> None:
        self.records: dict[InstanceId, InstanceRecord] = {}
        self.batches: dict[InstanceId, Batch] = {}
        self.reserved = 0

    def apply(self, write: _Write) -> None:
        """Make the write durable."""
        self.batches.update(write.batches)
        self.records.update((record.id, record) for record in write.records)
        if write.reserved is not None:
            self.reserved = write.reserved


class ModelReplica:
    """Replica `id` of n, with its core and its disk.

    With `syncs` every write is durable at the end of the step that makes it, so that its promises leave
    in that step.  Otherwise writes queue until `sync` makes the oldest durable.  The first write, of the
    reservation, is durable at once, unless the replica `begins_late`.
    """

    def __init__(self, id: int, n: int, new: NewReplica, syncs: bool, begins_late: bool = False) -> None:
        self.id = id
        self.n = n
        self.syncs = syncs
        self.disk = Disk()
        self.unwritten: list[_Write] = []
        self.core = new(id, n)
        self.core.tick(0.0)
        self._settle(Effects())
        while self.unwritten and not begins_late:
            self.sync()

    # -- steps

    def propose(self, batch: Batch) -> Effects:
        """Propose, if a slot is durably reserved."""
        effects = Effects()
        if self.core.can_propose:
            effects.proposed = self.core.propose(batch)
        return self._settle(effects)

    def receive(self, sender: int, message: Message) -> Effects:
        """Let a message arrive."""
        self.core.receive(sender, message)
        return self._settle(Effects())

    def hurry(self) -> Effects:
        """End every wait for the fast path."""
        self.core.tick(0.0)
        return self._settle(Effects())

    def time_out(self, id: InstanceId) -> Effects:
        """End all waits for `id`, so that it is recovered, or recovered again."""
        self.core.time_out(id)
        return self._settle(Effects())

    def sync(self) -> Effects:
        """Make the oldest write durable."""
        effects = Effects()
        self._write(self.unwritten.pop(0), effects)
        return self._settle(effects)

    def reboot(self, new: NewReplica, executed: Deps | None = None) -> Effects:
        """Crash, lose all that is not durable, and start again from the disk.

        `executed`: what a checkpoint says; nothing by default.
        """
        self.unwritten.clear()
        core = self.core = new(self.id, self.n)
        core.tick(0.0)
        nothing = (0,) * self.n
        core.take_output()  # heartbeats, and a reservation that `restore` makes again
        disk = self.disk
        core.restore(
            reserved=disk.reserved,
            floor=nothing,
            executed=nothing if executed is None else executed,
            instances=[
                Instance.restore(record, disk.batches.get(record.id)) for record in disk.records.values()
            ],
        )
        return self._settle(Effects())

    # -- effects

    def _settle(self, effects: Effects) -> Effects:
        """Carry out the outputs of the core, as `Output` says."""
        while output := self.core.take_output():
            self.carry_out(output, effects)
        return effects

    def carry_out(self, output: Output, effects: Effects) -> None:
        """Carry out one output of the core, and add what comes of it to `effects`."""
        effects.messages += output.messages
        effects.decide(output.decided)
        self._queue(output, effects)
        while self.syncs and self.unwritten:
            self._write(self.unwritten.pop(0), effects)

    def _queue(self, output: Output, effects: Effects) -> None:
        """Queue the write of an output.

        An output that writes nothing new, because it answers a doubled message, becomes durable with the
        last queued write, or at once when none is queued.
        """
        records = self._new_records(output)
        if records or output.batches or output.reserved is not None:
            self.unwritten.append(_Write(output.batches, records, output.reserved, [output]))
        elif self.unwritten:
            self._drop_doubles(output)
            if output.awaits_durability:
                self.unwritten[-1].outputs.append(output)
        else:
            self._become_durable(output, effects)

    def _new_records(self, output: Output) -> list[InstanceRecord]:
        latest = dict(self.disk.records)
        for write in self.unwritten:
            latest.update((record.id, record) for record in write.records)
        records = [instance.record() for instance in output.instances.values()]
        return [record for record in records if latest.get(record.id) != record]

    def _drop_doubles(self, output: Output) -> None:
        """Remove the promises that leave with an earlier write anyway."""
        leaving = {
            (dest, type(message), message)
            for write in self.unwritten
            for earlier in write.outputs
            for dest, message in earlier.promises
        }
        output.promises = [
            (dest, message)
            for dest, message in output.promises
            if (dest, type(message), message) not in leaving
        ]

    def _write(self, write: _Write, effects: Effects) -> None:
        self.disk.apply(write)
        for output in write.outputs:
            self._become_durable(output, effects)

    def _become_durable(self, output: Output, effects: Effects) -> None:
        effects.messages += output.promises
        effects.decide(output.decided_durably)
        self.core.on_durable(output)

    # -- copies

    def save(self) -> bytes:
        """The whole replica as bytes."""
        return dump(self)

    @staticmethod
    def load(saved: bytes) -> ModelReplica:
        """A copy of the replica that was saved."""
        replica: ModelReplica = load(saved)
        return replica


def _reduce_batch(batch: Batch) -> Any:
    """`NOP` is recognised by its identity, which a copy has to keep."""
    return "NOP" if batch is NOP else batch.__reduce_ex__(2)


def _the_timing() -> Timing:
    return _TIMING


def _the_random() -> Random:
    return _RANDOM


_REDUCERS: dict[type, Callable[[Any], Any]] = {
    **copyreg.dispatch_table,
    Batch: _reduce_batch,
    Timing: lambda timing: (_the_timing, ()),
    _NoRandom: lambda random: (_the_random, ()),
}


def load(saved: bytes) -> Any:
    """What was saved by `dump`."""
    return pickle.loads(saved)


def dump(replica: Any) -> bytes:
    """The replica with everything that belongs to it, as bytes; `NOP` stays the same object."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5)
    pickler.dispatch_table = _REDUCERS
    pickler.dump(replica)
    return file.getvalue()
