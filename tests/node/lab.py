"""Three nodes on one clock, with disks, wires and state machines that the tests control."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.execution.executor import Executor
from epaxos.interfaces import (
    Checkpoint,
    Command,
    CommandError,
    CommandInfo,
    Identity,
    IStateMachine,
    IStore,
    ITransport,
    Outcome,
    Ready,
    Reply,
    Restored,
    StoreError,
    Unavailable,
    WriteSet,
)
from epaxos.node.limits import Batching
from epaxos.node.node import Node
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.membership import VERSION, Membership
from epaxos.protocol.values.messages import Batch, Message
from epaxos.protocol.values.timing import Timing
from epaxos.protocol.values.transfer import PIECE_BYTES_MAX
from epaxos.service.timeouts import ReactorTimeouts
from tests.defaults import default_batching


@implementer(IStateMachine)
class Log:
    """A state machine that appends: a command is `[key, text]`, its reply the text of the key.

    The text ? only reads, in an instance; `[?, key]` needs none.  With ! among them a batch is a barrier.
    """

    def __init__(self) -> None:
        self.texts: dict[bytes, bytes] = {}
        self.batches: list[list[bytes]] = []
        self.restored: list[Ready] = []
        self.read_alone: list[bytes] = []

    def check(self, command: Command) -> None:
        if len(command) != 2:
            raise CommandError("ERR key and text")

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        return length == 2

    def commands(self) -> Sequence[CommandInfo]:
        return []

    def is_read(self, name: bytes) -> bool:
        return name == b"?"

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        assert commands and all(command[0] == b"?" for command in commands)
        self.read_alone += [key for _, key in commands]
        return tuple(self.texts.get(key) for _, key in commands)

    def batch(self, commands: Sequence[Command]) -> Batch:
        commands = [command[::-1] if command[0] == b"?" else command for command in commands]
        payload = b"\n".join(b" ".join(command) for command in commands)
        if any(text == b"!" for _, text in commands):
            return Batch((), (), payload, len(commands), True)
        writes = dict.fromkeys(key for key, text in commands if text != b"?")
        reads = dict.fromkeys(key for key, _ in commands if key not in writes)
        return Batch(tuple(writes), tuple(reads), payload, len(commands))

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        answers: list[Sequence[Reply]] = []
        for instance in ready:
            replies = self.run(instance.batch)
            self.batches.append(instance.batch.payload.split(b"\n"))
            answers.append(replies if instance.wanted else ())
        return answers

    def run(self, batch: Batch) -> list[Reply]:
        if batch.payload == b"poison":
            raise ValueError("poison")
        replies: list[Reply] = []
        for line in batch.payload.split(b"\n"):
            key, text = line.split(b" ")
            if text != b"?":
                self.texts[key] = self.texts.get(key, b"") + text
            replies.append(self.texts.get(key))
        return replies

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        self.texts = entries
        for instance in ready:
            self.restored.append(instance)
            self.run(instance.batch)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        return list(self.texts.items())


@implementer(IStore)
class Disk:
    """A store whose writes become durable when the test says so."""

    persistent = True
    wants_state = False
    transfer = None
    backups = None

    def __init__(self) -> None:
        self.restored = Restored(True, 0, (0, 0, 0), (0, 0, 0), (), (), (), ())
        self.waiting: list[tuple[WriteSet, Callable[[], None]]] = []
        self.written: list[WriteSet] = []
        self.slow = False
        self.error: StoreError | None = None

    def open(self, identity: Identity) -> Restored:
        if self.error:
            raise self.error
        return self.restored

    def write(self, write_set: WriteSet, durable: Callable[[], None]) -> None:
        self.waiting.append((write_set, durable))
        if not self.slow:
            self.catch_up()

    def catch_up(self, writes: int = 1000) -> None:
        while self.waiting and writes:
            writes -= 1
            write_set, durable = self.waiting.pop(0)
            self.written.append(write_set)
            durable()

    def checkpoints(self) -> list[Checkpoint]:
        return [written.checkpoint for written in self.written if written.checkpoint is not None]

    def batches(self) -> list[list[bytes]]:
        """The payloads of the batches of each checkpoint."""
        return [[batch.payload for _, batch in each.batches] for each in self.checkpoints()]

    def find(self, epoch: int, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
        return None

    def held(
        self, epoch: int, after: InstanceId | None, limit: int, found: Callable[[list[InstanceId]], None]
    ) -> None:
        found([])

    def held_epochs(self) -> list[int]:
        return []

    def give_back(self, epoch: int) -> None:
        """Nothing takes room."""

    def close(self) -> Deferred[None]:
        self.catch_up()
        return succeed(None)

    def counters(self) -> Mapping[str, int]:
        return {"store_writes": len(self.written)}


@implementer(ITransport)
class Wires:
    """The transport of node `id`: a message arrives after 1 ms, unless the connection is cut."""

    piece_bytes_max = PIECE_BYTES_MAX

    def __init__(self, cluster: Cluster, id: int, batch_bytes_max: int | None) -> None:
        self.batch_bytes_max = batch_bytes_max
        self.cluster = cluster
        self.id = id
        self.receive: Callable[[int, int, Sequence[Message]], None] | None = None
        self.connection: Callable[[int, bool], None] = lambda replica, is_there: None
        self.sends: list[list[tuple[int, Message]]] = []
        self.error: Exception | None = None

    def start(
        self,
        receive: Callable[[int, int, Sequence[Message]], None],
        connection: Callable[[int, bool], None],
        control: Callable[[int, Control], None],
    ) -> Deferred[None]:
        self.receive = receive
        self.connection = connection
        return fail(self.error) if self.error else succeed(None)

    def send(self, epoch: int, outgoing: Sequence[tuple[int, Message]]) -> None:
        self.sends.append(list(outgoing))
        for dest, message in outgoing:
            if (self.id, dest) not in self.cluster.cut:
                self.cluster.clock.callLater(0.001, self.cluster.arrive, self.id, dest, message)

    def send_control(self, replica: int, control: Control) -> bool:
        return False

    def speaks_epochs(self, replica: int) -> bool:
        return False

    def speaks_members(self, replica: int) -> bool:
        return False

    def version_of(self, replica: int) -> int:
        return VERSION

    def uid_of(self, replica: int) -> int | None:
        return None

    def know(self, membership: Membership, previous: Membership | None = None) -> None:
        pass

    def is_connected(self, replica: int) -> bool:
        return (self.id, replica) not in self.cluster.cut

    def backlog_bytes(self, replica: int) -> int:
        return 0

    def stop(self) -> Deferred[None]:
        self.receive = None
        return succeed(None)

    def counters(self) -> Mapping[str, int]:
        return {"bytes_sent": 1}


class Cluster:
    """Three nodes on one clock.  Messages of the kinds in `held` wait until `release`."""

    def __init__(
        self,
        batching: Batching | None = None,
        log: Callable[[], Log] = Log,
        batch_bytes_max: int | None = None,
    ) -> None:
        self.clock = Clock()
        self.cut: set[tuple[int, int]] = set()
        self.held: set[type] = set()
        self.kept: list[tuple[int, int, Message]] = []
        self.fatal: list[str] = []
        self.wires = [Wires(self, id, batch_bytes_max) for id in range(3)]
        self.disks = [Disk() for _ in range(3)]
        self.logs = [log() for _ in range(3)]
        self.nodes = [self.new(id, batching or default_batching()) for id in range(3)]

    def new(self, id: int, batching: Batching) -> Node:
        return Node(
            id,
            Epoch.first(3),
            cluster="test",
            timing=Timing(),
            batching=batching,
            state_machine=self.logs[id],
            executor=Executor,
            store=self.disks[id],
            transport=self.wires[id],
            timeouts=ReactorTimeouts(self.clock),
            random=Random(id),
            fatal=self.fatal.append,
        )

    def start(self) -> Cluster:
        for node in self.nodes:
            node.start()
        self.run(0.1)
        return self

    def arrive(self, sender: int, dest: int, message: Message) -> None:
        receive = self.wires[dest].receive
        if type(message) in self.held:
            self.kept.append((sender, dest, message))
        elif receive is not None:
            receive(sender, 0, [message])

    def release(self, *kinds: type) -> None:
        """Deliver the held messages of these kinds, in order, and hold these kinds no longer."""
        self.held -= set(kinds)
        kept, self.kept = self.kept, []
        for sender, dest, message in kept:
            self.arrive(sender, dest, message)

    def sent(self, id: int, kind: type) -> list[tuple[int, Any]]:
        """The messages of the kind that `id` has sent, each with its destination."""
        return [
            (dest, message)
            for send in self.wires[id].sends
            for dest, message in send
            if isinstance(message, kind)
        ]

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 2000)):
            self.clock.advance(0.0005)

    def isolate(self, id: int) -> None:
        for other in range(3):
            self.cut |= {(id, other), (other, id)} if other != id else set()

    def submit(self, id: int, *commands: Command) -> list[Outcome]:
        outcomes: list[Outcome] = []
        self.nodes[id].submit(commands, outcomes.append)
        return outcomes


class UnavailableCase(SynchronousTestCase):
    def one(self, outcomes: list[Outcome]) -> Unavailable:
        self.assertEqual(len(outcomes), 1)
        assert isinstance(outcomes[0], Unavailable)
        self.assertIn("CLUSTERDOWN", str(outcomes[0]))
        return outcomes[0]
