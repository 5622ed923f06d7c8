"""The key-value store that Redis clients see.

A batch of commands crosses the cluster as columns (`columns.py`).  Bulk operations on whole columns build
and apply batches of plain SETs and GETs, which most load consists of.  The commands of other batches run
one by one, in steps of about a millisecond (`state.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from operator import itemgetter, not_
from typing import Any

from zope.interface import implementer

from epaxos.interfaces import (
    Command,
    CommandInfo,
    ICountsKeys,
    IRestoresInParts,
    IStepwise,
    Ready,
    Reply,
    Steps,
)
from epaxos.interfaces.redis import OK, fits
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns, decode_columns
from epaxos.statemachines.redis.batches import batch_of
from epaxos.statemachines.redis.commands import COMMANDS, check
from epaxos.statemachines.redis.growing import Value
from epaxos.statemachines.redis.shards import ShardedDict
from epaxos.statemachines.redis.spec import Data, Found, Keys
from epaxos.statemachines.redis.state import ELEMENTS_PER_STEP, State, join, run_in_steps
from epaxos.statemachines.steps import replies_of

__all__ = ["KeyValueStore"]

BULK_STEPS = 4
"""A bulk operation applies a batch of at most this number of commands for each element of a step."""

_name = itemgetter(0)
_key = itemgetter(1)

_BULK = {(b"SET", 3): True, (b"GET", 2): False}
"""The shapes of commands that bulk operations apply, and whether they set."""


@implementer(IStepwise, IRestoresInParts, ICountsKeys)
class KeyValueStore:
    """Values by keys.  `elements_per_step`: see ELEMENTS_PER_STEP; tests take fewer."""

    def __init__(self, elements_per_step: int = ELEMENTS_PER_STEP) -> None:
        self._state = State(elements_per_step)

    # -- what clients may ask

    def check(self, command: Command) -> None:
        """See IStateMachine."""
        check(command)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IStateMachine."""
        spec = COMMANDS.get(name.upper())
        return spec is not None and fits(spec.arity, length) and (spec.check is None or length == spec.plain)

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

    # -- reads that are not replicated

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        return replies_of(self.read_in_steps(commands))

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        """See IStepwise."""
        state = self._state
        keys = list(map(_key, commands))
        if {name.upper() for name in set(map(_name, commands))} == {b"GET"}:
            found: list[Any] = state.data.get_all(keys)
        else:
            found = list(map(_run_read, commands, state.data.dicts_of(keys)))
        return _joined(found) if state.may_grow else iter((found,))

    # -- batches

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        return batch_of(commands)

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """See IStateMachine."""
        return [replies_of(self.apply_in_steps(instance)) for instance in ready]

    def apply_in_steps(self, ready: Ready) -> Steps:
        """See IStepwise."""
        batch, state = ready.batch, self._state
        columns = decode_columns(batch)
        if columns.keys is not None and batch.commands <= BULK_STEPS * state.elements_per_step:
            kinds = [_BULK.get((shape.name.upper(), shape.length)) for shape in columns.shapes]
            if None not in kinds:
                if not ready.wanted or False not in kinds:
                    _set_all(state.data, batch, columns, columns.keys, kinds)
                    return iter(([OK] * batch.commands if ready.wanted else (),))
                if not state.may_grow:
                    replies = _set_and_get_all(state.data, columns, columns.keys, kinds)
                    if replies is not None:
                        return iter((replies,))
        return run_in_steps(state, batch, columns, ready.wanted)

    # -- the whole state

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine."""
        self.restore_in_parts([entries], ready)

    def restore_in_parts(self, parts: Iterable[dict[bytes, bytes]], ready: Iterable[Ready]) -> None:
        """See IRestoresInParts."""
        data = self._state.data = ShardedDict()
        for part in parts:
            data.set_all(part, part.values())
        for instance in ready:
            replies_of(self.apply_in_steps(Ready(instance.id, instance.batch, False)))

    def keys(self) -> int:
        """See ICountsKeys."""
        return len(self._state.data)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        entries = self._state.data.entries()
        return _as_bytes(entries) if self._state.may_grow else entries  # type: ignore[return-value]


# -- bulk operations; `kinds`: for each shape whether its commands are SETs


def _set_all(
    data: ShardedDict[Value],
    batch: Batch,
    columns: Columns,
    keys: Sequence[bytes],
    kinds: list[bool | None],
) -> None:
    """Run the SETs among the commands.  Where no client waits for replies, nothing else has to run."""
    set_keys = _set_keys(columns, keys, kinds) if False in kinds else keys
    if len(set_keys) == len(batch.writes):
        data.set_all(set_keys, columns.arguments)
    else:  # some keys are set more than once
        data.update(zip(set_keys, columns.arguments))


def _set_and_get_all(
    data: ShardedDict[Value], columns: Columns, keys: Sequence[bytes], kinds: list[bool | None]
) -> Sequence[Reply] | None:
    """Run plain SETs and GETs, and return their replies.

    None when a key is both set and read, because then the order of SETs and GETs matters.
    """
    pairs = dict(zip(_set_keys(columns, keys, kinds), columns.arguments))
    is_read = map(not_, map(kinds.__getitem__, columns.which))
    if not pairs.keys().isdisjoint(compress(keys, is_read)):
        return None
    ok: dict[bytes, Any] = dict.fromkeys(pairs, OK)
    replies: list[Reply] = list(map(ok.get, keys, data.get_all(keys)))
    data.set_all(pairs, pairs.values())
    return replies


def _set_keys(columns: Columns, keys: Sequence[bytes], kinds: list[bool | None]) -> Sequence[bytes]:
    """The keys of the SETs, where the batch has other commands, too."""
    return list(compress(keys, map(kinds.__getitem__, columns.which)))


# -- steps


def _run_read(command: Command, data: Data) -> Found:
    return COMMANDS[command[0].upper()].handler(data, command)


def _joined(found: list[Any]) -> Steps:
    yield from join(found)
    yield found


def _as_bytes(entries: Iterable[tuple[bytes, Value]]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in entries:
        yield key, value if type(value) is bytes else bytes(value)
