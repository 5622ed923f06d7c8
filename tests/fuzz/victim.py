"""A replica among peers that may send any well-formed message.

Two claims of peers stop it, because they show that another process has its id: that they hold slots of its
row which it never used, or another batch in one of its slots.  Then it is started again.

It has the real core, executor and record format.  Its disk holds encoded records, so that each restart
decodes them.  All messages that it sends must be well-formed, and it must be able to restore all that it
writes.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import le
from random import Random

from epaxos.execution.executor import Executor
from epaxos.interfaces import Ready
from epaxos.protocol.memory.state import DoubledError
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.instance import Instance, InstanceRecord
from epaxos.protocol.values.messages import NOP, Batch, Heartbeat, Message, ReadOK
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.timing import Timing
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.storage.leveldb.records import RecordFormat
from epaxos.wire.codec import decode_frame, encode
from tests.fuzz.choices import BATCHES, KEYS, Choices

__all__ = ["Victim", "tells_of_a_double"]

CHECKED_PER_TURN = 32
"""Messages of a turn that are encoded and decoded, at most, because recoveries send hundreds."""


def tells_of_a_double(message: Message) -> bool:
    """Whether this message may stop replica 0, now or later, because it claims that another process was
    replica 0."""
    if isinstance(message, Heartbeat):
        return bool(message.committed[0] or message.executed[0])
    id = getattr(message, "id", None)
    return id is not None and id.replica == 0 and getattr(message, "batch", NOP) not in (None, NOP)


class Victim:
    """Replica 0 of n.  No other replica exists."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.now = 0.0
        self._format = RecordFormat(Epoch.first(n))
        self._records: dict[InstanceId, bytes] = {}
        self._batches: dict[InstanceId, bytes] = {}
        self._reserved = 0
        self._floor = self._executed = no_deps(Epoch.first(n))
        self._beyond: tuple[InstanceId, ...] = ()
        self._entries: dict[bytes, bytes] = {}
        self._unwritten: list[tuple[Output, list[InstanceRecord]]] = []
        self._asked: dict[int, tuple[bytes, ...]] = {}
        self._told_of_a_double = False
        self._readings: list[tuple[Deps, tuple[bytes, ...]]] = []
        self._up()

    def _up(self) -> None:
        """Start a process on the disk."""
        self.machine = KeyValueStore()
        self.machine.restore(dict(self._entries), ())
        self.executor = Executor(Epoch.first(self.n))
        self.executor.restore(self._executed, self._beyond)
        self.core = Replica(0, Epoch.first(self.n), timing=Timing(), random=Random(1))
        self.core.tick(self.now)
        decoded = [
            (self._format.decode_record(id, record), self._batches.get(id))
            for id, record in sorted(self._records.items())
        ]
        self.core.restore(
            reserved=self._reserved,
            floor=self._floor,
            executed=self._executed,
            instances=[
                Instance.restore(record, self._format.decode_batch(record.id, batch) if batch else None)
                for record, batch in decoded
            ],
        )
        self.turn()

    # -- what happens to it

    def receive(self, sender: int, message: Message) -> None:
        """Receive a message that the transport would accept.  The lowest numbers of ReadOK stand for own
        reads."""
        if isinstance(message, ReadOK) and message.number < len(self._asked):
            message = message._replace(number=list(self._asked)[message.number])
        assert decode_frame(encode(message), Epoch.first(self.n)) == [message]
        self._told_of_a_double |= tells_of_a_double(message)
        self._do(lambda: self.core.receive(sender, message))
        self.turn()

    def _do(self, call: Callable[[], None]) -> None:
        """Make the call.  After DoubledError, which needs such a claim of a peer, restart."""
        try:
            call()
        except DoubledError:
            assert self._told_of_a_double
            self.restart()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self._do(lambda: self.core.tick(self.now))
        self.turn()

    def propose(self, batch: Batch) -> None:
        if self.core.can_propose:
            self.core.propose(batch)
            self.turn()

    def read(self, keys: tuple[bytes, ...]) -> None:
        number = self.core.read(keys)
        assert number not in self._asked
        self._asked[number] = keys
        self.turn()

    def end_read(self) -> None:
        """End the oldest read, because nobody waits for it any more."""
        if self._asked:
            number = next(iter(self._asked))
            del self._asked[number]
            self.core.end_read(number)
            self.turn()

    def write(self) -> None:
        """The oldest turn becomes durable."""
        if not self._unwritten:
            return
        output, records = self._unwritten.pop(0)
        for id, batch in output.batches:
            self._batches[id] = self._format.encode_batch(batch)
        for record in records:
            self._records[record.id] = self._format.encode_record(record)
        self._reserved = output.reserved if output.reserved is not None else self._reserved
        self._floor = output.floor if output.floor is not None else self._floor
        for id in output.dropped:
            self._records.pop(id, None)
            self._batches.pop(id, None)
        self._send(output.promises)
        self._commit(output.decided_durably)
        self._do(lambda: self.core.on_durable(output))
        self.turn()

    def write_all(self) -> None:
        while self._unwritten:
            self.write()

    def checkpoint(self) -> None:
        """Everything written becomes durable, and then the state and how far execution is."""
        self.write_all()
        self._executed, self._beyond = self.executor.executed, self.executor.executed_beyond()
        self._entries = dict(self.machine.entries())
        self.core.on_executed(self._executed)
        self.turn()

    def restart(self) -> None:
        """Crash and start again: what is not durable is lost."""
        self._unwritten.clear()
        self._asked.clear()
        self._readings.clear()
        self._up()

    # -- its effects

    def turn(self) -> None:
        """Carry out the outputs of the core.  Writes wait for `write`."""
        while output := self.core.take_output():
            self._send(output.messages)
            self._commit(output.decided)
            self._readings += [(deps, self._asked.pop(number)) for number, deps in output.reads]
            self._unwritten.append((output, [instance.record() for instance in output.instances.values()]))
        executed = self.executor.run(256)
        self.machine.apply([Ready(id, batch, True) for id, batch in executed])
        self._run_reads()

    def _run_reads(self) -> None:
        waiting = []
        for deps, keys in self._readings:
            if all(map(le, deps, self.executor.executed)):
                assert len(deps) == self.n
                assert len(self.machine.read([[b"GET", key] for key in keys])) == len(keys)
            else:
                waiting.append((deps, keys))
        self._readings = waiting

    def _send(self, messages: list[tuple[int, Message]]) -> None:
        for replica, message in messages[:CHECKED_PER_TURN]:
            assert 0 < replica < self.n
            assert decode_frame(encode(message), Epoch.first(self.n)) == [message], message

    def _commit(self, decided: list[Instance]) -> None:
        for instance in decided:
            assert instance.cmd is not None
            self.executor.commit(instance.id, instance.cmd, instance.deps)

    # -- decisions of a fuzzer

    def suffer(self, choices: Choices) -> None:
        """Let one event happen that the choices select."""
        what = choices.below(18)
        if what < 9:
            self.receive(1 + choices.below(self.n - 1), choices.message(self.n))
        elif what < 11:
            self.pass_time(choices.of((0.01, 0.2, 1.0, 5.0)))
        elif what == 11:
            self.propose(choices.of(BATCHES[:-2]))
        elif what == 12:
            self.write()
        elif what == 13:
            self.write_all()
        elif what == 14:
            self.checkpoint()
        elif what == 16:
            self.read(choices.of(KEYS))
        elif what == 17:
            self.end_read()
        else:
            self.restart()
