"""The key-value store that Redis clients see.

A batch of commands crosses the cluster as columns (`columns.py`).  Batches of one shape, which is what
load looks like, are built and applied by bulk operations on whole columns; only mixed batches are
gone through command by command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress, filterfalse, repeat
from operator import itemgetter, not_

from zope.interface import implementer

from epaxos.interfaces import Command, CommandError, CommandInfo, IRestoresInParts, Ready, Reply
from epaxos.protocol.messages import Batch
from epaxos.statemachines.columns import Columns, decode_columns, decode_commands, encode_commands
from epaxos.statemachines.kv_commands import COMMANDS, OK, Data, Keys, check
from epaxos.statemachines.shards import ShardedDict

__all__ = ["KeyValueStore"]

_name = itemgetter(0)
_key = itemgetter(1)

_BULK = {(b"SET", 3): True, (b"GET", 2): False}
"""The shapes of commands that are applied in bulk, and whether they set."""


@implementer(IRestoresInParts)
class KeyValueStore:
    """Byte strings by key."""

    def __init__(self) -> None:
        self._data: ShardedDict[bytes] = ShardedDict()

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
            replies: list[Reply] = []
            replies += self._data.get_all(list(map(_key, commands)))
            return replies
        dicts = self._data.dicts_of(list(map(_key, commands)))
        return [COMMANDS[command[0].upper()].handler(data, command) for command, data in zip(commands, dicts)]

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
                if not wanted or False not in kinds:
                    self._set_all(batch, columns, columns.keys, kinds)
                    return [OK] * batch.commands if wanted else ()
                replies = self._apply_bulk(columns, columns.keys, kinds)
        if replies is None:
            data: Iterable[Data] = repeat(self._data)
            if columns.keys is not None:
                data = self._data.dicts_of(columns.keys)
            replies = list(map(self._run, decode_commands(columns), data))
        return replies

    def _apply_bulk(
        self, columns: Columns, keys: Sequence[bytes], kinds: list[bool | None]
    ) -> Sequence[Reply] | None:
        """All commands are plain SETs and GETs; `kinds`: whether those of each shape are SETs.

        None when a key is both set and read: otherwise the order matters only among the SETs.
        """
        pairs = dict(zip(self._set_keys(columns, keys, kinds), columns.arguments))
        is_read = map(not_, map(kinds.__getitem__, columns.which))
        if not pairs.keys().isdisjoint(compress(keys, is_read)):
            return None
        replies: list[Reply] = list(map(dict.fromkeys(pairs, OK).get, keys, self._data.get_all(keys)))
        self._data.set_all(pairs, pairs.values())
        return replies

    def _set_all(
        self, batch: Batch, columns: Columns, keys: Sequence[bytes], kinds: list[bool | None]
    ) -> None:
        """Run the SETs among the commands; all that has to be done where no client waits for replies."""
        set_keys = self._set_keys(columns, keys, kinds) if False in kinds else keys
        if len(set_keys) == len(batch.writes):
            self._data.set_all(set_keys, columns.arguments)
        else:  # some keys are set more than once
            self._data.update(zip(set_keys, columns.arguments))

    @staticmethod
    def _set_keys(columns: Columns, keys: Sequence[bytes], kinds: list[bool | None]) -> Sequence[bytes]:
        """The keys of the SETs, where there are others among the commands."""
        return list(compress(keys, map(kinds.__getitem__, columns.which)))

    def _run(self, command: list[bytes], data: Data) -> Reply:
        spec = COMMANDS.get(command[0].upper())
        if spec is None or not spec.fits(len(command)):
            raise ValueError(f"a batch with the command {command[0]!r} of {len(command)} arguments")
        if spec.check is not None and len(command) != spec.plain:
            try:
                spec.check(command)
            except CommandError as error:
                raise ValueError(f"a batch with the command {command[0]!r}: {error}") from None
        return spec.handler(data, command)

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine."""
        self.restore_in_parts([entries], ready)

    def restore_in_parts(self, parts: Iterable[dict[bytes, bytes]], ready: Iterable[Ready]) -> None:
        """See IRestoresInParts."""
        self._data = ShardedDict()
        for part in parts:
            self._data.set_all(part, part.values())
        for instance in ready:
            self._apply(instance.batch, False)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        return self._data.entries()
