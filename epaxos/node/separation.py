"""Tells the commands of a batch apart: what is proposed, and what is read without an instance.

A command that only reads one key needs no place in the order of the commands.  It is enough that
it sees everything that was committed before it came (docs: protocol/reads).  So these
commands are taken out, and the rest is proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import itemgetter, not_

from epaxos.interfaces import Command, IStateMachine, Reply
from epaxos.protocol.values.messages import Batch

__all__ = ["ReadNames", "Separation"]

NAMES_MAX = 1000
"""The number of command names, in all their spellings, that are remembered."""

_name = itemgetter(0)
_key = itemgetter(1)


class ReadNames(dict[bytes, bool]):
    """Remembers, for each spelling of a command name, what `is_read` of the state machine says."""

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


class Separation:
    """Commands that are proposed together, told apart.

    `batch`: the commands to propose, None when there are none.  `reads`: the commands to read
    without an instance.  A command that reads what another one here writes stays in the batch,
    because there the order matters.
    """

    def __init__(self, commands: Sequence[Command], is_read: ReadNames, machine: IStateMachine) -> None:
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
        """The size on the wire of the batch or of the read's keys, whichever is larger."""
        asked = Batch((), tuple(set(map(_key, self.reads))), b"", 0).size_bytes
        return max(asked, self.batch.size_bytes if self.batch is not None else 0)

    def places(self, of_reads: bool) -> Sequence[int]:
        """Where the commands of the batch, or the reads, stand among all commands."""
        if not self._is_read:
            return range(len(self.reads) if of_reads else self.batch.commands if self.batch else 0)
        return [number for number, is_read in enumerate(self._is_read) if is_read is of_reads]

    def merge(self, replies: Sequence[Reply], read: Sequence[Reply]) -> Sequence[Reply]:
        """The replies of the batch and of the reads, in the order of the commands."""
        if not self._is_read:
            return replies or read
        rest, own = iter(replies), iter(read)
        return [next(own) if is_read else next(rest) for is_read in self._is_read]
