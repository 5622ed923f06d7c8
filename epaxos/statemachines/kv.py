"""The key-value store that Redis clients see.

A batch of commands crosses the cluster as columns (`columns.py`).  Batches of one shape, which is what
load looks like, are built and applied by bulk operations on whole columns; only mixed batches are
gone through command by command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress, filterfalse
from operator import itemgetter, not_

from zope.interface import implementer

from epaxos.interfaces import Command, CommandError, CommandInfo, IStateMachine, Ready, Reply
from epaxos.protocol.messages import Batch
from epaxos.statemachines.columns import Columns, decode_columns, decode_commands, encode_commands
from epaxos.statemachines.kv_commands import COMMANDS, OK, Data, Keys, check

__all__ = ["KeyValueStore"]

_name = itemgetter(0)
_key = itemgetter(1)

_BULK = {(b"SET", 3): True, (b"GET", 2): False}
"""The shapes of commands that are applied in bulk, and whether they set."""


@implementer(IStateMachine)
class KeyValueStore:
    """Byte strings by key."""

    def __init__(self) -> None:
        self._data: Data = {}

    def check(self, command: Command) -> None:
        """See IStateMachine."""
        check(command)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IStateMachine."""
        spec = COMMANDS.get(name.upper())
        return spec is not None and spec.fits(length) and (spec.check is None or length == spec.plain)

    def commands(self) -> Sequence[CommandInfo]:
        """See IStateMachine."""
        return [
            CommandInfo(name.decode().lower(), spec.arity, spec.writes, *spec.keys.value)
            for name, spec in COMMANDS.items()
        ]

    def is_read(self, name: bytes) -> bool:
        """See IStateMachine."""
        spec = COMMANDS[name.upper()]
        return spec.keys is Keys.FIRST and not spec.writes

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        if {name.upper() for name in set(map(_name, commands))} == {b"GET"}:
            return list(map(self._data.get, map(_key, commands)))
        return [COMMANDS[command[0].upper()].handler(self._data, command) for command in commands]

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        specs = {name: COMMANDS[name.upper()] for name in set(map(_name, commands))}
        if any(spec.barrier for spec in specs.values()):
            return Batch((), (), encode_commands(commands), len(commands), True)
        if not all(spec.keys is Keys.FIRST for spec in specs.values()):
            writes, reads = self._all_keys(commands)
            return Batch(writes, reads, encode_commands(commands), len(commands))
        writes, reads = self._first_keys(commands, {name: spec.writes for name, spec in specs.items()})
        return Batch(writes, reads, encode_commands(commands, writes + reads), len(commands))

    @staticmethod
    def _first_keys(
        commands: Sequence[Command], is_write: dict[bytes, bool]
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The keys written and those only read, where each command's first argument is its only key."""
        keys = dict.fromkeys(map(_key, commands))
        if all(is_write.values()):
            return tuple(keys), ()
        if not any(is_write.values()):
            return (), tuple(keys)
        flags = map(is_write.__getitem__, map(_name, commands))
        written = dict.fromkeys(compress(map(_key, commands), flags))
        return tuple(written), tuple(filterfalse(written.__contains__, keys))

    @staticmethod
    def _all_keys(commands: Sequence[Command]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """The keys written and those only read, whatever the commands."""
        writes: dict[bytes, None] = {}
        reads: dict[bytes, None] = {}
        for command in commands:
            spec = COMMANDS[command[0].upper()]
            (writes if spec.writes else reads).update(dict.fromkeys(spec.keys.of(command)))
        for key in writes.keys() & reads.keys():
            del reads[key]
        return tuple(writes), tuple(reads)

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """See IStateMachine."""
        return [self._apply(instance.batch, instance.wanted) for instance in ready]

    def _apply(self, batch: Batch, wanted: bool) -> Sequence[Reply]:
        columns = decode_columns(batch)
        replies = None
        if columns.keys is not None:
            kinds = [_BULK.get((shape.name.upper(), shape.length)) for shape in columns.shapes]
            if None not in kinds:
                if not wanted:
                    self._data.update(self._pairs(columns, columns.keys, kinds))
                    return ()
                replies = self._apply_bulk(columns, columns.keys, kinds, batch.commands)
        if replies is None:
            replies = list(map(self._run, decode_commands(columns)))
        return replies

    def _apply_bulk(
        self, columns: Columns, keys: Sequence[bytes], kinds: list[bool | None], count: int
    ) -> Sequence[Reply] | None:
        """All commands are plain SETs and GETs; `kinds`: whether those of each shape are SETs.

        None when a key is both set and read: otherwise the order matters only among the SETs.
        """
        data = self._data
        if False not in kinds:
            data.update(self._pairs(columns, keys, kinds))
            return [OK] * count
        pairs = dict(self._pairs(columns, keys, kinds))
        is_read = map(not_, map(kinds.__getitem__, columns.which))
        if not pairs.keys().isdisjoint(compress(keys, is_read)):
            return None
        replies: list[Reply] = list(map(dict.fromkeys(pairs, OK).get, keys, map(data.get, keys)))
        data.update(pairs)
        return replies

    @staticmethod
    def _pairs(
        columns: Columns, keys: Sequence[bytes], kinds: list[bool | None]
    ) -> Iterable[tuple[bytes, bytes]]:
        """What the SETs among them set; all that has to be known where no client waits for replies."""
        set_keys: Iterable[bytes] = keys
        if False in kinds:
            set_keys = compress(keys, map(kinds.__getitem__, columns.which))
        return zip(set_keys, columns.arguments)

    def _run(self, command: list[bytes]) -> Reply:
        spec = COMMANDS.get(command[0].upper())
        if spec is None or not spec.fits(len(command)):
            raise ValueError(f"a batch with the command {command[0]!r} of {len(command)} arguments")
        if spec.check is not None and len(command) != spec.plain:
            try:
                spec.check(command)
            except CommandError as error:
                raise ValueError(f"a batch with the command {command[0]!r}: {error}") from None
        return spec.handler(self._data, command)

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine."""
        self._data = entries
        for instance in ready:
            self._apply(instance.batch, False)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        return self._data.copy().items()  # four times faster than a list of tuples
