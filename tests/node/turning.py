"""Nodes whose epochs turn, on one clock, with disks and wires that the tests control.

A node may be killed or stopped, and started again from what its disk held.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from epaxos.execution.executor import Executor
from epaxos.interfaces import (
    Checkpoint,
    Command,
    EpochRecord,
    Identity,
    IStateTransfer,
    IStore,
    ITransport,
    Outcome,
    Restored,
    WriteSet,
)
from epaxos.node.limits import Batching, Keep
from epaxos.node.node import Node
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.messages import Batch, Message
from epaxos.protocol.values.timing import Timing
from epaxos.protocol.values.transfer import PieceAsk, StateOffer, StatePart
from epaxos.service.timeouts import ReactorTimeouts
from epaxos.verify.simulation.contents import Contents
from tests.defaults import default_batching
from tests.node.lab import Log

__all__ = ["FIRST", "TurningCluster", "TurningDisk", "TurningWires"]

FIRST = Membership(77, 0, VERSION, tuple(Member(id, 10 + id) for id in range(3)))


@implementer(IStateTransfer)
class TurningTransfer:
    """Gives and takes the state of a TurningDisk as one file.  What is taken does not outlive the process."""

    def __init__(self, disk: TurningDisk) -> None:
        self._disk = disk
        self._given: list[bytes] = []
        self._taken = b""
        self.installed: list[StateOffer] = []

    def offer(self) -> StateOffer | None:
        contents = self._disk.contents
        if contents.opened is None:
            return None
        data = pickle.dumps((contents.entries, contents.log))
        if data not in self._given:
            self._given.append(data)
        part = StatePart(self._given.index(data), True, len(data), 0)
        opened = contents.opened
        return StateOffer(
            opened.membership, opened.opened_by, opened.previous, contents.executed, contents.beyond, (part,)
        )

    def read(self, ask: PieceAsk) -> bytes:
        return self._given[ask.generation][ask.offset : ask.offset + ask.size]

    def begin(self, source: int) -> tuple[StatePart, ...]:
        self._taken = b""
        return ()

    def room(self) -> int:
        return 1 << 30

    def take(
        self, generation: int, is_base: bool, offset: int, data: bytes, done: Callable[[bool], None]
    ) -> None:
        self._taken = self._taken[:offset] + data
        done(True)

    def install(self, offer: StateOffer, done: Callable[[str], None]) -> None:
        contents = self._disk.contents
        nothing = (0,) * len(offer.executed)
        contents.apply(WriteSet(
            epoch=offer.membership.number,
            opened=EpochRecord(offer.membership, offer.previous, offer.opened_by, nothing),
            checkpoint=Checkpoint(offer.executed, offer.beyond, ()),
        ))  # fmt: skip
        contents.entries, contents.log = pickle.loads(self._taken)
        self.installed.append(offer)
        done("")

    def give_up(self) -> None:
        self._taken = b""


@implementer(IStore)
class TurningDisk:
    """A store whose writes become durable in the order of the calls: at once, or while `slow` when the test
    says so."""

    persistent = True
    wants_state = False
    written = 0
    backups = None

    def __init__(self, id: int, founded: Membership) -> None:
        self.founded = founded
        self.contents = Contents()
        self.writes: list[WriteSet] = []
        self.waiting: list[tuple[WriteSet, Callable[[], None]]] = []
        self.slow = False
        self.transfer = TurningTransfer(self)
        self._uid = 10 + id

    def open(self, identity: Identity) -> Restored:
        contents = self.contents
        fresh = contents.identity is None
        if fresh:
            contents.format(identity)
        records = [(record, contents.batches.get(id)) for id, record in sorted(contents.records.items())]
        founded = self.founded if contents.opened is None else contents.opened.membership
        return Restored(
            fresh,
            contents.reserved,
            contents.floor,
            contents.executed,
            contents.beyond,
            records,
            [dict(contents.entries)],
            list(contents.log),
            contents.opened,
            self._uid,
            founded,
        )

    def write(self, write_set: WriteSet, on_durable: Callable[[], None]) -> None:
        self.waiting.append((write_set, on_durable))
        if not self.slow:
            self.catch_up()

    def catch_up(self, writes: int = 1000) -> None:
        """The next writes that wait are durable."""
        while self.waiting and writes:
            writes -= 1
            write_set, on_durable = self.waiting.pop(0)
            self.contents.apply(write_set)
            self.writes.append(write_set)
            on_durable()

    def lose(self) -> None:
        """What waits never reaches the disk."""
        self.waiting.clear()
        self.slow = False

    def find(self, epoch: int, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
        return self.contents.closed.get(epoch, {}).get(id)

    def held(
        self, epoch: int, after: InstanceId | None, limit: int, found: Callable[[list[InstanceId]], None]
    ) -> None:
        ids = sorted(self.contents.closed.get(epoch, {}))
        found([id for id in ids if after is None or id > after][:limit])

    def held_epochs(self) -> list[int]:
        return sorted(self.contents.closed)

    def give_back(self, epoch: int) -> None:
        """Nothing takes room."""

    def close(self) -> Deferred[None]:
        self.catch_up()
        return succeed(None)

    def counters(self) -> Mapping[str, int]:
        return {"store_writes": len(self.writes)}


@implementer(ITransport)
class TurningWires:
    """The transport of node `id`: what is sent arrives after 1 ms, unless the direction is cut."""

    batch_bytes_max = None
    piece_bytes_max = 16

    def __init__(self, cluster: TurningCluster, id: int) -> None:
        self.cluster = cluster
        self.id = id
        self.on_received: Callable[[int, int, Sequence[Message]], None] | None = None
        self.on_control: Callable[[int, Control], None] | None = None
        self.sent: list[tuple[int, int, Message]] = []
        self.known: list[Membership] = []

    def start(
        self,
        on_received: Callable[[int, int, Sequence[Message]], None],
        on_connection: Callable[[int, bool], None],
        on_control: Callable[[int, Control], None],
    ) -> Deferred[None]:
        self.on_received, self.on_control = on_received, on_control
        return succeed(None)

    def send(self, epoch: int, outgoing: Sequence[tuple[int, Message]]) -> None:
        for dest, message in outgoing:
            self.sent.append((epoch, dest, message))
            if self.is_connected(dest):
                self.cluster.clock.callLater(0.001, self.cluster.arrive, self.id, dest, epoch, message)

    def send_control(self, replica: int, control: Control) -> bool:
        if self.is_connected(replica):
            self.cluster.clock.callLater(0.001, self.cluster.arrive_control, self.id, replica, control)
        return self.is_connected(replica)

    def speaks_epochs(self, replica: int) -> bool:
        return True

    def speaks_members(self, replica: int) -> bool:
        return True

    def version_of(self, replica: int) -> int:
        is_there = replica == self.id or self.is_connected(replica)
        return self.cluster.versions[replica] if is_there else 0

    def uid_of(self, replica: int) -> int | None:
        return 10 + replica

    def know(self, membership: Membership, previous: Membership | None = None) -> None:
        self.known.append(membership)

    def known_numbers(self) -> list[int]:
        """The epochs of which it knew the members, one after the other."""
        return list(dict.fromkeys(one.number for one in self.known))

    def is_connected(self, replica: int) -> bool:
        return (self.id, replica) not in self.cluster.cut

    def backlog_bytes(self, replica: int) -> int:
        return 0

    def stop(self) -> Deferred[None]:
        self.on_received = self.on_control = None
        return succeed(None)

    def counters(self) -> Mapping[str, int]:
        return {"bytes_sent": 1}


class TurningCluster:
    """Three nodes.  Messages of the kinds in `held` wait until `release`; `cut` are pairs of sender and
    receiver between which everything is lost; control messages of the kinds in `lost` are lost everywhere.
    `versions`: the highest version that the program of each can do."""

    def __init__(
        self,
        keep: Keep | None = None,
        founded: Membership = FIRST,
        log: Callable[[], Log] = Log,
        **batching: Any,
    ) -> None:
        self.clock = Clock()
        self.keep = keep
        self._log = log
        self.cut: set[tuple[int, int]] = set()
        self.held: set[type] = set()
        self.lost: set[type] = set()
        self.kept: list[tuple[int, int, int, Message]] = []
        self.fatal: list[str] = []
        self.outdated: list[str] = []
        self.versions = [VERSION] * 3
        self.wires = [TurningWires(self, id) for id in range(3)]
        self.disks = [TurningDisk(id, founded) for id in range(3)]
        self.logs = [log() for _ in range(3)]
        self._batching = default_batching(**batching)
        self.nodes = [self._new(id, self._batching) for id in range(3)]
        for node in self.nodes:
            node.start()
        self.run(0.1)

    def _new(self, id: int, batching: Batching) -> Node:
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
            outdated=self.outdated.append,
            begin_again=partial(self.clock.callLater, 0, self.begin_again, id),
            keep=self.keep,
        )

    def restart(self, id: int) -> Node:
        """Start a process on what the disk of `id` holds.  The one before must be stopped or killed."""
        self.wires[id] = TurningWires(self, id)
        self.logs[id] = self._log()
        node = self.nodes[id] = self._new(id, self._batching)
        node.start()
        return node

    def begin_again(self, id: int) -> None:
        """The node has ended, and a new one has to be made in the same process."""
        self.nodes[id].stop()
        self.restart(id)

    def kill(self, id: int) -> None:
        """The process is gone, with what its disk has not written."""
        self.disks[id].lose()
        self.nodes[id].fail("killed")
        self.fatal.remove("killed")
        self.wires[id].stop()
        self.disks[id].lose()

    # -- messages

    def arrive(self, sender: int, dest: int, epoch: int, message: Message) -> None:
        receive = self.wires[dest].on_received
        if type(message) in self.held:
            self.kept.append((sender, dest, epoch, message))
        elif receive is not None:
            receive(sender, epoch, [message])

    def arrive_control(self, sender: int, dest: int, control: Control) -> None:
        receive = self.wires[dest].on_control
        if receive is not None and type(control) not in self.lost:
            receive(sender, control)

    def release(self) -> None:
        """Deliver what is held, in its order, and hold nothing any more."""
        self.held.clear()
        kept, self.kept = self.kept, []
        for sender, dest, epoch, message in kept:
            self.arrive(sender, dest, epoch, message)

    def sent(self, id: int, kind: type) -> list[tuple[int, Any]]:
        """The messages of this kind that `id` has sent, each with its epoch."""
        return [(epoch, message) for epoch, _, message in self.wires[id].sent if type(message) is kind]

    def deafen(self, id: int) -> None:
        """From now on `id` hears nobody, and the others hear it."""
        self.cut |= {(other, id) for other in range(3) if other != id}

    def isolate(self, id: int) -> None:
        """From now on nothing reaches `id`, or comes from it."""
        self.deafen(id)
        self.cut |= {(id, other) for other in range(3) if other != id}

    # -- what happens

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 2000)):
            self.clock.advance(0.0005)

    def submit(self, id: int, *commands: Command) -> list[Outcome]:
        """Submit them together; the list gets the outcome."""
        outcomes: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            outcomes.append(tuple(outcome) if isinstance(outcome, list) else outcome)

        self.nodes[id].submit(commands, done)
        return outcomes

    def epoch(self, id: int) -> dict[str, Any]:
        """What the status of the node says of its epoch."""
        found: list[dict[str, Any]] = []
        self.nodes[id].status().addCallback(found.append)
        epoch: dict[str, Any] = found[0]["epoch"]
        return epoch

    def epochs(self) -> list[int]:
        return [self.epoch(id)["number"] for id in range(3)]

    def texts(self) -> list[dict[bytes, bytes]]:
        return [log.texts for log in self.logs]

    def openings(self, id: int) -> list[WriteSet]:
        """The write sets of `id` that began an epoch."""
        return [write for write in self.disks[id].writes if write.opened is not None]
