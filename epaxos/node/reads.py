"""Reads without an instance, from the core's question to the moment at which they may run.

A read first waits for the core, which asks enough other replicas which instances the read has to
come after.  Then it waits until these instances are in the state (docs: protocol/reads).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import itemgetter, le

from epaxos.interfaces import Command, IStateMachine, Reply
from epaxos.node.bundle import Bundle
from epaxos.node.reruns import Reruns, reader_before
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = ["PendingRead", "Reads"]

_key = itemgetter(1)


class PendingRead:
    """Commands that read, in their order.

    `since`: own instances from this slot on were proposed later.  `deps`: the commands may run once
    everything up to these slots is executed; None until the core says so.  `done` gets the replies.
    """

    def __init__(
        self, commands: Sequence[Command], since: int, done: Callable[[Sequence[Reply]], None]
    ) -> None:
        self.commands = commands
        self.deps: Deps | None = None
        self.keys = dict.fromkeys(map(_key, commands)).keys()
        self.since = since
        self._done = done
        self._early: dict[int, Reply] = {}

    def is_ready(self, executed: Deps) -> bool:
        """Whether the commands may run on a state that holds everything up to `executed`."""
        return self.deps is not None and all(map(le, self.deps, executed))

    def on_read(self, replies: Sequence[Reply]) -> None:
        """The commands were run, and gave these replies: hand the replies over."""
        replies = list(replies)
        for number, reply in self._early.items():
            replies[number] = reply
        self._done(replies)

    def is_overtaken_by(self, id: InstanceId, batch: Batch) -> bool:
        """Whether `batch` writes what is read here, although it was proposed later.

        `id` is an own instance that is about to run.  A client must not read what it wrote after
        it had asked for the read.
        """
        return id.slot >= self.since and (batch.barrier or not self.keys.isdisjoint(batch.writes))

    def run_before(self, batch: Batch, read_before: Callable[[Command, Batch], Reply]) -> None:
        """Read now what `batch`, which overtakes this read, is going to write.  This is allowed
        because `batch` itself comes after everything that this read has to come after."""
        written = self.keys if batch.barrier else self.keys & batch.writes
        for number, command in enumerate(self.commands):
            if command[1] in written and number not in self._early:
                self._early[number] = read_before(command, batch)


class Reads:
    """All reads of this replica that have not run.

    `waiting`: those that wait for the core or for instances, by their number.  `ready`: those that may
    run, in order.  Others only look whether there are any, which they do in every turn.  `reruns`: what runs
    again, because it must not be answered yet.
    """

    def __init__(self, core: Replica, machine: IStateMachine, reruns: Reruns) -> None:
        self.reruns = reruns
        self.commands_read = 0
        self._core = core
        self._read_before = reader_before(machine)
        self.waiting: dict[int, tuple[PendingRead, Bundle]] = {}
        self.ready: deque[tuple[PendingRead, Bundle]] = deque()

    def start(self, bundle: Bundle) -> None:
        """Start the reads of `bundle`.  They come after every own instance proposed so far."""
        core = self._core
        read = PendingRead(bundle.separation.reads, core.next_slot, bundle.on_read)
        number = bundle.read_number = core.read(tuple(read.keys))
        self.waiting[number] = (read, bundle)

    def leave(self, core: Replica) -> list[tuple[PendingRead, Bundle]]:
        """The epoch has ended, and `core` is that of the next one.  All reads: they have to start again.

        What a read has read already (`PendingRead.run_before`) it keeps.
        """
        left = [*self.ready, *self.waiting.values()]
        self.clear()
        self._core = core
        for read, bundle in left:
            read.deps = None
            bundle.read_number = None
        return left

    def start_again(self, read: PendingRead, bundle: Bundle) -> None:
        """Start a read of the epoch before, behind every own instance that was proposed so far."""
        read.since = self._core.next_slot
        number = bundle.read_number = self._core.read(tuple(read.keys))
        self.waiting[number] = (read, bundle)

    def end(self, bundle: Bundle) -> None:
        """End the reads of `bundle`, if the core has not answered them: nobody waits for them."""
        number, bundle.read_number = bundle.read_number, None
        if number is not None:
            self._core.end_read(number)
            self.waiting.pop(number, None)

    def on_answered(self, answered: Sequence[tuple[int, Deps]]) -> None:
        """The core says after what the reads with these numbers come (`Output.reads`)."""
        for number, deps in answered:
            if number in self.waiting:  # it may just have been given up
                self.waiting[number][0].deps = deps

    def on_own_batch(self, id: InstanceId, batch: Batch) -> None:
        """The own instance `id` is about to run: read what it overtakes."""
        for read, _ in chain(self.waiting.values(), self.ready):
            if read.is_overtaken_by(id, batch):
                read.run_before(batch, self._read_before)

    def find_ready(self, applied: Deps) -> Sequence[Bundle]:
        """Move the reads that may run on this state to `ready`, and return their bundles."""
        numbers = [number for number, (read, _) in self.waiting.items() if read.is_ready(applied)]
        found = [self.waiting.pop(number) for number in numbers]
        for _, bundle in found:
            bundle.read_number = None
        self.ready.extend(found)
        return [bundle for _, bundle in found]

    def next_commands(self) -> Sequence[Command]:
        """The commands of the first ready read; only while one is ready."""
        return self.ready[0][0].commands

    def on_read(self, replies: Sequence[Reply]) -> None:
        """The first ready read was run, and gave these replies."""
        read, _ = self.ready.popleft()
        self.commands_read += len(read.commands)
        read.on_read(replies)

    def bundles(self) -> Iterator[Bundle]:
        """The bundles of all reads that have not run."""
        return (bundle for _, bundle in chain(self.waiting.values(), self.ready))

    def clear(self) -> None:
        """Forget all reads, without a word to the core."""
        self.waiting.clear()
        self.ready.clear()
