"""The key-value store that Redis clients see.

A batch of commands crosses the cluster as columns (`columns.py`).  Batches of one shape, which is what
load looks like, are built and applied by bulk operations on whole columns; only mixed batches are
gone through command by command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, compress, filterfalse
from operator import itemgetter

from zope.interface import implementer

from epaxos.interfaces import Changes, Command, CommandError, CommandInfo, IStateMachine, Ready, Reply
from epaxos.protocol.messages import Batch
from epaxos.statemachines.columns import decode_columns, decode_commands, encode_commands
from epaxos.statemachines.kv_commands import COMMANDS, OK, Keys, State, check

__all__ = ["KeyValueStore"]

_name = itemgetter(0)
_key = itemgetter(1)


def _upper(names: Iterable[bytes]) -> set[bytes]:
    return {name.upper() for name in names}


@implementer(IStateMachine)
class KeyValueStore:
    """Byte strings by key."""

    def __init__(self) -> None:
        self._state = State()

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

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        writes, reads, barrier = self._footprint(commands, set(map(_name, commands)))
        return Batch(writes, reads, encode_commands(commands), len(commands), barrier)

    @staticmethod
    def _footprint(
        commands: Sequence[Command], names: set[bytes]
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...], bool]:
        specs = {name: COMMANDS[name.upper()] for name in names}
        if any(spec.barrier for spec in specs.values()):
            return (), (), True
        if all(spec.keys is Keys.FIRST for spec in specs.values()):
            keys = dict.fromkeys(map(_key, commands))
            is_write = {name: spec.writes for name, spec in specs.items()}
            if all(is_write.values()):
                return tuple(keys), (), False
            if not any(is_write.values()):
                return (), tuple(keys), False
            flags = map(is_write.__getitem__, map(_name, commands))
            written = dict.fromkeys(compress(map(_key, commands), flags))
            return tuple(written), tuple(filterfalse(written.__contains__, keys)), False
        writes: dict[bytes, None] = {}
        reads: dict[bytes, None] = {}
        for command in commands:
            spec = COMMANDS[command[0].upper()]
            (writes if spec.writes else reads).update(dict.fromkeys(spec.keys.of(command)))
        for key in writes.keys() & reads.keys():
            del reads[key]
        return tuple(writes), tuple(reads), False

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """See IStateMachine."""
        return [self._apply(instance.batch) for instance in ready]

    def _apply(self, batch: Batch) -> Sequence[Reply]:
        arguments, length, lengths = decode_columns(batch)
        replies = self._apply_uniform(arguments, length, batch.commands)
        if replies is None and lengths:
            replies = self._apply_independent(arguments, lengths)
        if replies is None:
            replies = list(map(self._run, decode_commands(batch)))
        return replies

    def _apply_independent(self, arguments: list[bytes], lengths: list[int]) -> Sequence[Reply] | None:
        """Bulk, where all commands are plain SETs and GETs and no key is both set and read: their
        order then matters only among the SETs.  None where they are not."""
        if not set(lengths) <= {2, 3}:
            return None
        starts = [0, *accumulate(lengths[:-1])]
        names = set(zip(map(arguments.__getitem__, starts), lengths))
        if not {(name.upper(), length) for name, length in names} <= {(b"GET", 2), (b"SET", 3)}:
            return None
        data = self._state.data
        keys = list(map(arguments.__getitem__, map((1).__add__, starts)))
        values = map(arguments.__getitem__, map((2).__add__, compress(starts, map((3).__eq__, lengths))))
        pairs = dict(zip(compress(keys, map((3).__eq__, lengths)), values))
        if not pairs.keys().isdisjoint(compress(keys, map((2).__eq__, lengths))):
            return None
        replies: list[Reply] = list(map(dict.fromkeys(pairs, OK).get, keys, map(data.get, keys)))
        data.update(pairs)
        self._state.changed.update(pairs)
        return replies

    def _apply_uniform(self, arguments: list[bytes], length: int, count: int) -> Sequence[Reply] | None:
        """Bulk, where all commands are plain SETs or GETs; None where they are not."""
        if length == 3:
            names = set(arguments[::3])
            if names == {b"SET"} or _upper(names) == {b"SET"}:
                pairs = dict(zip(arguments[1::3], arguments[2::3]))
                self._state.data.update(pairs)
                self._state.changed.update(pairs)
                return [OK] * count
        elif length == 2:
            names = set(arguments[::2])
            if names == {b"GET"} or _upper(names) == {b"GET"}:
                return list(map(self._state.data.get, arguments[1::2]))
        return None

    def _run(self, command: list[bytes]) -> Reply:
        spec = COMMANDS.get(command[0].upper())
        if spec is None or not spec.fits(len(command)):
            raise ValueError(f"a batch with the command {command[0]!r} of {len(command)} arguments")
        if spec.check is not None and len(command) != spec.plain:
            try:
                spec.check(command)
            except CommandError as error:
                raise ValueError(f"a batch with the command {command[0]!r}: {error}") from None
        return spec.handler(self._state, command)

    def changes(self) -> Changes:
        """See IStateMachine."""
        state = self._state
        changes = Changes(state.cleared, state.changed)
        state.cleared, state.changed = False, {}
        return changes

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """See IStateMachine."""
        self._state = State()
        self._state.data = dict(entries)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        return list(self._state.data.items())
