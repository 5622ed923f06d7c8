"""The cluster of a story: the story decides what arrives, what is durable and who crashes.

The cluster uses nothing but the public methods of the core.  `lines` tells the effects, one a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import le
from random import Random

from epaxos.execution.executor import Executor
from epaxos.interfaces import Checkpoint, Identity, WriteSet
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import Batch, Message
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.quorums import Quorums
from epaxos.protocol.values.timing import Timing
from epaxos.verify.simulation.contents import Contents
from tests.protocol.stories.judge import Judge
from tests.protocol.stories.notation import (
    Labels,
    show_batch,
    show_deps,
    show_frontier,
    show_id,
    show_instance,
    show_record,
)

__all__ = ["Envelope", "StoryCluster"]

Envelope = tuple[int, int, Message]
"""Sender, receiver, message."""


class _HalfWay(Random):
    """Backing off takes the middle of what it may take, on every version of Python."""

    def random(self) -> float:
        return 0.5


def _new_core(id: int, quorums: Quorums, slots: int) -> Replica:
    return Replica(
        id, quorums.epoch, timing=Timing(), random=_HalfWay(), slots_reserved=slots, quorums=quorums
    )


class _Host:
    """One replica: a disk, and what its process holds while it is up."""

    def __init__(self, id: int, core: Replica, epoch: Epoch) -> None:
        self.id = id
        self.disk = Contents()
        self.disk.format(Identity("stories", id, epoch, "strings"))
        self.disk_stopped = False
        self.start(core, epoch)

    def start(self, core: Replica, epoch: Epoch) -> None:
        """A process with `core`, which knows nothing yet."""
        self.up = True
        self.core = core
        self.executor = Executor(epoch)
        self.strings: dict[str, str] = {}
        self.executed: list[tuple[InstanceId, Batch]] = []
        self.unwritten: list[tuple[Output, WriteSet]] = []
        self.reads: dict[int, Deps] = {}
        self.read_keys: dict[int, str] = {}

    def apply(self, batch: Batch) -> None:
        """Execute the command of a batch on the strings."""
        words = batch.payload.decode().split()
        if words[0] == "SET":
            self.strings[words[1]] = words[2]
        elif words[0] == "FLUSH":
            self.strings.clear()


def _write_set(output: Output) -> WriteSet:
    return WriteSet(
        list(output.batches),
        [instance.record() for instance in output.instances.values()],
        output.reserved,
        output.floor,
        list(output.dropped),
    )


def _shown_writes(write_set: WriteSet) -> Iterator[str]:
    """A line for each record, and for what else is written."""
    batches = dict(write_set.batches)
    if write_set.reserved is not None:
        yield f"reserves its slots up to {write_set.reserved}"
    for record in write_set.records:
        yield f"writes {show_record(record, batches.get(record.id))}"
    if write_set.floor is not None:
        dropped = " ".join(map(show_id, write_set.dropped))
        yield f"forgets up to {show_frontier(write_set.floor)}: {dropped}"


def _select(envelopes: Iterable[Envelope], is_meant: Callable[[Envelope], bool]) -> list[Envelope]:
    """The envelopes that are meant.  Raises ValueError when there are none."""
    chosen = [envelope for envelope in envelopes if is_meant(envelope)]
    if not chosen:
        raise ValueError("there is no such message")
    return chosen


class StoryCluster:
    """`quorums.n` replicas.  `wire` holds what is under way, `delivered` what arrived, in their order.

    `lines` is what came out since the caller emptied it.
    """

    def __init__(self, quorums: Quorums, slots: int) -> None:
        self.n = quorums.n
        self._quorums = quorums
        self._slots = slots
        self._now = 0.0
        self.lines: list[str] = []
        self.wire: list[Envelope] = []
        self.delivered: list[Envelope] = []
        self.labels = Labels()
        self.judge = Judge()
        self.hosts = [_Host(id, _new_core(id, quorums, slots), self._quorums.epoch) for id in range(self.n)]
        for host in self.hosts:
            host.core.tick(0.0)
            self._flush(host)
        self.settle()  # all have heard of each other
        self.delivered.clear()
        self.lines.clear()

    # -- what a core wants

    def _flush(self, host: _Host) -> None:
        """Carry out all that the core of `host` wants, in the order that `Output` asks for."""
        while output := host.core.take_output():
            write_set = _write_set(output)
            self.lines += (f"{host.id} {shown}" for shown in _shown_writes(write_set))
            host.unwritten.append((output, write_set))
            self._send(host, "->", output.messages)
            self._decide(host, output.decided)
            self._on_reads(host, output.reads)
            if not host.disk_stopped:
                self._write_all(host)
            elif output.awaits_durability:
                self.lines.append(f"{host.id} waits for its disk")

    def _write_all(self, host: _Host) -> None:
        while host.unwritten:
            output, write_set = host.unwritten.pop(0)
            host.disk.apply(write_set)
            self._send(host, "=>", output.promises)
            self._decide(host, output.decided_durably)
            host.core.on_durable(output)

    def _send(self, host: _Host, arrow: str, outgoing: Iterable[tuple[int, Message]]) -> None:
        receivers: dict[str, list[int]] = {}
        for receiver, message in outgoing:
            self.wire.append((host.id, receiver, message))
            receivers.setdefault(self.labels.show(message), []).append(receiver)
        for shown, numbers in receivers.items():
            self.lines.append(f"{host.id} {arrow} {' '.join(map(str, numbers))}  {shown}")

    def _decide(self, host: _Host, decided: Iterable[Instance]) -> None:
        for instance in decided:
            if instance.cmd is None:
                raise AssertionError(f"{instance.id} is decided without a command")
            shown = f"{show_batch(instance.cmd)} deps={show_deps(instance.deps)}"
            self.lines.append(f"{host.id} decides {show_id(instance.id)} {shown}")
            self.judge.on_decided(host.id, instance.id, instance.cmd, instance.deps)
            host.executor.commit(instance.id, instance.cmd, instance.deps)
        for id, batch in host.executor.run():
            self.lines.append(f"{host.id} executes {show_id(id)} {show_batch(batch)}")
            host.apply(batch)
            host.executed.append((id, batch))
        self._answer_reads(host)

    # -- reads

    def _on_reads(self, host: _Host, reads: Iterable[tuple[int, Deps]]) -> None:
        for number, deps in reads:
            host.reads[number] = deps
            if not all(map(le, deps, host.executor.executed)):
                self.lines.append(f"{host.id} will answer {self.labels.read(number)} after {show_deps(deps)}")
        self._answer_reads(host)

    def _answer_reads(self, host: _Host) -> None:
        for number, deps in tuple(host.reads.items()):
            if all(map(le, deps, host.executor.executed)):
                del host.reads[number]
                key = host.read_keys.pop(number)
                value = host.strings.get(key, "nothing")
                self.lines.append(f"{host.id} answers {self.labels.read(number)}: {key} is {value}")

    # -- what a story does

    def _running(self, id: int) -> _Host:
        host = self.hosts[id]
        if not host.up:
            raise ValueError(f"replica {id} is down")
        return host

    def propose(self, id: int, batch: Batch) -> None:
        """Replica `id` proposes `batch`."""
        host = self._running(id)
        if not host.core.can_propose:
            raise ValueError(f"replica {id} has no slot reserved")
        host.core.propose(batch)
        self._flush(host)

    def read(self, id: int, key: str) -> None:
        """Replica `id` reads `key`."""
        host = self._running(id)
        number = host.core.read((key.encode(),))
        host.read_keys[number] = key
        self._flush(host)

    def deliver(self, is_meant: Callable[[Envelope], bool]) -> None:
        """The messages under way that are meant arrive."""
        for envelope in _select(self.wire, is_meant):
            self.wire.remove(envelope)
            self._arrive(envelope)

    def drop(self, is_meant: Callable[[Envelope], bool]) -> None:
        """The messages under way that are meant are lost."""
        for envelope in _select(self.wire, is_meant):
            self.wire.remove(envelope)

    def redeliver(self, is_meant: Callable[[Envelope], bool]) -> None:
        """The latest message that arrived and is meant arrives once more."""
        self._arrive(_select(self.delivered, is_meant)[-1])

    def _arrive(self, envelope: Envelope) -> None:
        sender, receiver, message = envelope
        host = self.hosts[receiver]
        if host.up:
            self.delivered.append(envelope)
            self.lines.append(f"{receiver} <- {sender}  {self.labels.show(message)}")
            host.core.receive(sender, message)
            self._flush(host)

    def settle(self) -> None:
        """Everything arrives, and what is sent then, until nothing is under way."""
        for _ in range(100):
            if not self.wire:
                return
            self.deliver(lambda envelope: True)
        raise ValueError("the cluster does not come to rest")

    def time_out(self, id: int, instance: InstanceId) -> None:
        """Replica `id` has waited for `instance` long enough."""
        host = self._running(id)
        host.core.time_out(instance)
        self._flush(host)

    def disconnect(self, id: int, other: int) -> None:
        """Replica `id` loses all connections with `other`."""
        host = self._running(id)
        host.core.on_disconnected(other)
        self._flush(host)

    def tick(self, seconds: float) -> None:
        """Time passes at all that are up."""
        self._now += seconds
        for host in self.hosts:
            if host.up:
                host.core.tick(self._now)
                self._flush(host)

    # -- disks and crashes

    def stop_disk(self, id: int) -> None:
        """From now on nothing that replica `id` writes becomes durable."""
        self._running(id).disk_stopped = True

    def resume_disk(self, id: int) -> None:
        """All that replica `id` wrote becomes durable."""
        host = self._running(id)
        host.disk_stopped = False
        self._write_all(host)
        self._flush(host)

    def checkpoint(self, id: int) -> None:
        """What replica `id` has executed becomes durable."""
        host = self._running(id)
        executor = host.executor
        checkpoint = Checkpoint(executor.executed, executor.executed_beyond(), tuple(host.executed))
        host.disk.apply(WriteSet(checkpoint=checkpoint))
        host.executed = []
        self.lines.append(f"{id} writes a checkpoint: executed={show_frontier(executor.executed)}")
        host.core.on_executed(executor.executed)
        self._flush(host)

    def crash(self, id: int) -> None:
        """What is not durable is lost, and what is under way to replica `id`."""
        host = self._running(id)
        lost = [show_id(r.id) for _, write_set in host.unwritten for r in write_set.records]
        if lost:
            self.lines.append(f"{id} loses what it wrote of {' '.join(dict.fromkeys(lost))}")
        host.up = host.disk_stopped = False
        self.wire = [envelope for envelope in self.wire if envelope[1] != id]

    def restart(self, id: int) -> None:
        """Replica `id` starts from its disk."""
        host = self.hosts[id]
        if host.up:
            raise ValueError(f"replica {id} is up")
        host.start(_new_core(id, self._quorums, self._slots), self._quorums.epoch)
        disk = host.disk
        for _, batch in disk.log:
            host.apply(batch)
        host.executor.restore(disk.executed, disk.beyond)
        host.core.tick(self._now)
        host.core.restore(
            reserved=disk.reserved,
            floor=disk.floor,
            executed=disk.executed,
            instances=[
                Instance.restore(record, disk.batches.get(id)) for id, record in sorted(disk.records.items())
            ],
        )
        self._flush(host)

    def show_state(self, id: InstanceId) -> None:
        """Tell what each replica that is up knows of `id`."""
        for host in self.hosts:
            if host.up:
                instance = host.core.table.find(id)
                shown = "knows nothing of it" if instance is None else show_instance(instance)
                self.lines.append(f"{host.id}: {shown}")
