"""A cluster of bare cores in which the test decides what arrives, what is durable and who crashes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from epaxos.interfaces import Identity, WriteSet
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance, InstanceRecord
from epaxos.protocol.values.messages import Batch, Message
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.quorums import Quorums
from epaxos.protocol.values.timing import Timing
from epaxos.verify.simulation.contents import Contents

__all__ = ["Lab", "read", "write"]

Envelope = tuple[int, int, Message]


def write(*keys: str, payload: str = "w") -> Batch:
    """A batch of one command that writes the keys."""
    return Batch(tuple(key.encode() for key in keys), (), payload.encode(), 1)


def read(*keys: str, payload: str = "r") -> Batch:
    """A batch of one command that reads the keys."""
    return Batch((), tuple(key.encode() for key in keys), payload.encode(), 1)


def new_disk(id: int, n: int) -> Contents:
    """An empty disk, the simulator's: what was written to it is durable at once."""
    contents = Contents()
    contents.format(Identity("lab", id, Epoch.first(n), "none"))
    return contents


class Lab:
    """n replicas; `wire` holds what was sent and not delivered, in order of sending.

    `named`: see Quorums.of.
    """

    def __init__(self, n: int, timing: Timing | None = None, named: bool | None = None) -> None:
        self.n = n
        self.quorums = Quorums.of(Epoch.first(n), named)
        self.now = 0.0
        self.timing = timing or Timing()
        self.wire: list[Envelope] = []
        self.sent: list[Envelope] = []
        self.decided: list[dict[InstanceId, Instance]] = [{} for _ in range(n)]
        self.reads: list[dict[int, Deps]] = [{} for _ in range(n)]
        self.disks = [new_disk(id, n) for id in range(n)]
        self.unwritten: list[list[tuple[Output, list[InstanceRecord]]]] = [[] for _ in range(n)]
        self.slow_disks: set[int] = set()
        self.down: set[int] = set()
        self.replicas = [self._new(id) for id in range(n)]
        for id in range(n):
            self.replicas[id].tick(0.0)
            self.flush(id)
        self.wire.clear()
        self.sent.clear()

    def _new(self, id: int) -> Replica:
        return Replica(id, Epoch.first(self.n), timing=self.timing, random=Random(id), quorums=self.quorums)

    # -- effects

    def flush(self, id: int) -> None:
        """Carry out what replica `id` wants; its disk answers at once unless it is slow."""
        while output := self.replicas[id].take_output():
            self._send(id, output.messages)
            self._decide(id, output.decided)
            for number, deps in output.reads:
                assert number not in self.reads[id], "a read is told once"
                self.reads[id][number] = deps
            self.unwritten[id].append((output, [i.record() for i in output.instances.values()]))
            if id not in self.slow_disks:
                self._write_all(id)

    def _write_all(self, id: int) -> None:
        while self.unwritten[id]:
            output, records = self.unwritten[id].pop(0)
            self.disks[id].apply(
                WriteSet(output.batches, records, output.reserved, output.floor, output.dropped)
            )
            self._send(id, output.promises)
            self._decide(id, output.decided_durably)
            self.replicas[id].on_durable(output)

    def _send(self, sender: int, outgoing: list[tuple[int, Message]]) -> None:
        envelopes = [(sender, dest, message) for dest, message in outgoing]
        self.wire += envelopes
        self.sent += envelopes

    def _decide(self, id: int, decided: list[Instance]) -> None:
        for instance in decided:
            for other in self.decided:
                known = other.get(instance.id)
                if known is not None:
                    assert (known.cmd, known.deps) == (instance.cmd, instance.deps), "Agreement"
            self.decided[id][instance.id] = instance

    # -- what a test does

    def propose(self, id: int, batch: Batch) -> InstanceId:
        instance_id = self.replicas[id].propose(batch)
        self.flush(id)
        return instance_id

    def read(self, id: int, *keys: str) -> int:
        number = self.replicas[id].read(tuple(key.encode() for key in keys))
        self.flush(id)
        return number

    def disk_slow(self, id: int) -> None:
        """From now on nothing that `id` writes is durable."""
        self.slow_disks.add(id)

    def disk_catches_up(self, id: int) -> None:
        self.slow_disks.discard(id)
        self._write_all(id)
        self.flush(id)

    def deliver(
        self,
        kind: type | None = None,
        *,
        to: int | None = None,
        frm: int | None = None,
        where: Callable[[Message], bool] = lambda message: True,
    ) -> int:
        """Deliver the messages on the wire that match, in order; return how many."""
        chosen = [
            envelope
            for envelope in self.wire
            if (kind is None or type(envelope[2]) is kind)
            and to in (None, envelope[1])
            and frm in (None, envelope[0])
            and where(envelope[2])
        ]
        for envelope in chosen:
            self.wire.remove(envelope)
            sender, dest, message = envelope
            if dest not in self.down:
                self.replicas[dest].receive(sender, message)
                self.flush(dest)
        return len(chosen)

    def drop(self, kind: type | None = None, *, to: int | None = None, frm: int | None = None) -> None:
        self.wire = [
            (sender, dest, message)
            for sender, dest, message in self.wire
            if not ((kind is None or type(message) is kind) and to in (None, dest) and frm in (None, sender))
        ]

    def settle(self, rounds: int = 100) -> None:
        """Deliver everything, and what follows from it."""
        for _ in range(rounds):
            if not self.deliver():
                return
        raise AssertionError("the cluster does not come to rest")

    def advance(self, seconds: float, step: float = 0.05, deliver: bool = True) -> None:
        """Let time pass, delivering what is sent meanwhile."""
        end = self.now + seconds
        while self.now < end:
            self.now += step
            for id in range(self.n):
                if id not in self.down:
                    self.replicas[id].tick(self.now)
                    self.flush(id)
            if deliver:
                self.settle()

    def recover(self, id: int, instance_id: InstanceId) -> None:
        """Let `id` recover the instance now."""
        self.replicas[id]._recoveries.start(instance_id)
        self.replicas[id]._after()
        self.flush(id)

    def crash(self, id: int) -> None:
        """Crash replica `id`: what is not durable is lost."""
        self.down.add(id)
        self.unwritten[id].clear()
        self.slow_disks.discard(id)
        self.wire = [envelope for envelope in self.wire if envelope[1] != id]

    def restart(self, id: int) -> None:
        self.down.discard(id)
        disk = self.disks[id]
        replica = self.replicas[id] = self._new(id)
        replica.tick(self.now)
        replica.restore(
            reserved=disk.reserved,
            floor=disk.floor,
            executed=disk.executed,
            instances=[
                Instance.restore(record, disk.batches.get(record.id)) for record in disk.records.values()
            ],
        )
        self.flush(id)

    def instance(self, id: int, instance_id: InstanceId) -> Instance:
        instance = self.replicas[id].table.find(instance_id)
        assert instance is not None
        return instance
