"""The key-value store that Redis clients see.

A batch of commands crosses the cluster as columns (`columns.py`).  Batches of one shape, which is what
load looks like, are built and applied by bulk operations on whole columns; only mixed batches are
gone through command by command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from zope.interface import implementer

from epaxos.interfaces import Changes, Command, CommandInfo, IStateMachine, Ready, Reply
from epaxos.protocol.messages import Batch
from epaxos.statemachines.columns import decode_columns, decode_commands, encode_commands
from epaxos.statemachines.kv_commands import COMMANDS, OK, State, check

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
        names = _upper(set(map(_name, commands)))
        writes, reads, barrier = self._footprint(commands, names)
        return Batch(writes, reads, encode_commands(commands), len(commands), barrier)

    @staticmethod
    def _footprint(
        commands: Sequence[Command], names: set[bytes]
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...], bool]:
        if names == {b"SET"}:
            return tuple(dict.fromkeys(map(_key, commands))), (), False
        if names == {b"GET"}:
            return (), tuple(dict.fromkeys(map(_key, commands))), False
        if any(COMMANDS[name].barrier for name in names):
            return (), (), True
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
        arguments, length, _ = decode_columns(batch)
        replies = self._apply_uniform(arguments, length, batch.commands)
        if replies is None:
            replies = list(map(self._run, decode_commands(batch)))
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
        if spec is None:
            raise ValueError(f"a batch with the command {command[:1]}")
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
