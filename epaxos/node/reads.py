"""Which commands are read without an instance, and the reads that are under way.

A command that only reads one key needs no place in the order of the commands: it is enough that it
sees everything that was committed before it came (docs: protocol/reads).  So these are taken out
of a batch, and the rest is proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from operator import itemgetter, le, not_

from epaxos.interfaces import Command, IStateMachine, Reply
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = ["Reading", "Separation"]

NAMES_MAX = 1000
"""So many names of commands, in all their spellings, are remembered."""

_name = itemgetter(0)
_key = itemgetter(1)


class Reading:
    """Commands that read, in their order.

    `since`: own instances from this slot on were proposed later.  `deps`: when everything up to there is
    executed, they may be run; None as long as that is not known.  `done` gets the replies.
    """

    def __init__(
        self, commands: Sequence[Command], since: int, done: Callable[[Sequence[Reply]], None]
    ) -> None:
        self.commands = commands
        self.deps: Deps | None = None
        self.keys = dict.fromkeys(map(_key, commands)).keys()
        self._since = since
        self._done = done
        self._early: dict[int, Reply] = {}

    def is_ready(self, executed: Deps) -> bool:
        return self.deps is not None and all(map(le, self.deps, executed))

    def on_read(self, replies: Sequence[Reply]) -> None:
        """The commands were read: hand the replies over."""
        replies = list(replies)
        for number, reply in self._early.items():
            replies[number] = reply
        self._done(replies)

    def is_overtaken_by(self, id: InstanceId, batch: Batch) -> bool:
        """Whether `batch`, of an own instance that is about to run, writes what is read here, although
        it was proposed later: a client must not read what it wrote after that."""
        return id.slot >= self._since and (batch.barrier or not self.keys.isdisjoint(batch.writes))

    def run_before(self, batch: Batch, machine: IStateMachine) -> None:
        """Read what `batch`, which overtakes this, writes; it names all that this has to come after."""
        written = self.keys if batch.barrier else self.keys & batch.writes
        for number, command in enumerate(self.commands):
            if command[1] in written and number not in self._early:
                (self._early[number],) = machine.read([command])


class Separation:
    """Commands of one batch, in two parts.

    `batch`: what is proposed, None when that is nothing; `reads`: what is read without an instance.
    Those that read what others of the batch write stay among them: there the order matters.
    """

    def __init__(self, commands: Sequence[Command], is_read: _Names, machine: IStateMachine) -> None:
        self.reads: Sequence[Command] = ()
        self.batch: Batch | None = None
        self._is_read: list[bool] = []
        kinds = set(map(is_read.__getitem__, set(map(_name, commands))))
        if True not in kinds:
            self.batch = machine.batch(commands)
        elif False not in kinds:
            self.reads = commands
        else:
            flags = list(map(is_read.__getitem__, map(_name, commands)))
            self._separate(commands, flags, machine)

    def _separate(self, commands: Sequence[Command], flags: list[bool], machine: IStateMachine) -> None:
        batch = machine.batch(list(compress(commands, map(not_, flags))))
        written = frozenset(batch.writes)
        if batch.barrier or not written.isdisjoint(map(_key, compress(commands, flags))):
            flags = [
                read and not batch.barrier and command[1] not in written
                for read, command in zip(flags, commands)
            ]
            batch = machine.batch(list(compress(commands, map(not_, flags))))
        self.batch = batch
        if True in flags:
            self.reads = list(compress(commands, flags))
            self._is_read = flags

    @property
    def size_bytes(self) -> int:
        """What the larger part takes on the wire."""
        asked = Batch((), tuple(set(map(_key, self.reads))), b"", 0).size_bytes
        return max(asked, self.batch.size_bytes if self.batch is not None else 0)

    def merge(self, replies: Sequence[Reply], read: Sequence[Reply]) -> Sequence[Reply]:
        """The replies of both parts, in the order of the commands."""
        if not self._is_read:
            return replies or read
        rest, own = iter(replies), iter(read)
        return [next(own) if is_read else next(rest) for is_read in self._is_read]

    @staticmethod
    def names(machine: IStateMachine) -> _Names:
        """What `is_read` of the machine says, remembered."""
        return _Names(machine)


class _Names(dict[bytes, bool]):
    def __init__(self, machine: IStateMachine) -> None:
        super().__init__()
        self._machine = machine
        for info in machine.commands():
            name = info.name.upper().encode()
            self[name] = machine.is_read(name)

    def __missing__(self, name: bytes) -> bool:
        if len(self) >= NAMES_MAX:
            self.clear()
        is_read = self[name] = self._machine.is_read(name)
        return is_read
