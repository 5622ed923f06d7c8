"""The key-value store that Redis clients see.

A batch of commands crosses the cluster as columns (`columns.py`).  Batches of one shape, which is what
load looks like, are built and applied by bulk operations on whole columns; only mixed batches are
gone through command by command, in steps of about a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, filterfalse, islice, repeat
from operator import itemgetter, not_
from typing import Any

from zope.interface import implementer

from epaxos.interfaces import (
    Command,
    CommandError,
    CommandInfo,
    ICountsKeys,
    IRestoresInParts,
    IStepwise,
    Ready,
    Reply,
    Steps,
)
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns, decode_columns, decode_commands, encode_commands
from epaxos.statemachines.redis.commands import COMMANDS, OK, Data, Found, Keys, Piecewise, check
from epaxos.statemachines.redis.growing import GROWS_FROM_BYTES, Growing, Value
from epaxos.statemachines.redis.shards import ShardedDict

__all__ = ["ELEMENTS_PER_STEP", "KeyValueStore"]

ELEMENTS_PER_STEP = 1024
"""Commands are run one by one in steps of about this number of elements, about a millisecond."""
BULK_STEPS = 4
"""A batch is applied in bulk when it has at most this number of commands for each element of a step."""
TIDY_BYTES = 4_000_000
"""A step that frees a discarded state frees about this number of bytes, or ELEMENTS_PER_STEP keys."""

_name = itemgetter(0)
_key = itemgetter(1)

_BULK = {(b"SET", 3): True, (b"GET", 2): False}
"""The shapes of commands that are applied in bulk, and whether they set."""
_FLUSHES = (b"FLUSHDB", b"FLUSHALL")


@implementer(IStepwise, IRestoresInParts, ICountsKeys)
class KeyValueStore:
    """Byte strings by key.

    `elements_per_step`: what ELEMENTS_PER_STEP says, for tests.
    """

    def __init__(self, elements_per_step: int = ELEMENTS_PER_STEP) -> None:
        self._data: ShardedDict[Value] = ShardedDict()
        self._elements_per_step = elements_per_step
        self._grows = False  # whether a value may be a Growing
        self._discarded: list[dict[bytes, Value]] = []

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
        return _to_the_end(self.read_in_steps(commands))

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        """See IStepwise."""
        if {name.upper() for name in set(map(_name, commands))} == {b"GET"}:
            found: list[Any] = self._data.get_all(list(map(_key, commands)))
        else:
            found = list(map(_run_read, commands, self._data.dicts_of(list(map(_key, commands)))))
        return _joined(found) if self._grows else iter((found,))

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
        return [_to_the_end(self.apply_in_steps(instance)) for instance in ready]

    def apply_in_steps(self, ready: Ready) -> Steps:
        """See IStepwise."""
        batch = ready.batch
        columns = decode_columns(batch)
        if columns.keys is not None and batch.commands <= BULK_STEPS * self._elements_per_step:
            kinds = [_BULK.get((shape.name.upper(), shape.length)) for shape in columns.shapes]
            if None not in kinds:
                if not ready.wanted or False not in kinds:
                    self._set_all(batch, columns, columns.keys, kinds)
                    return iter(([OK] * batch.commands if ready.wanted else (),))
                if not self._grows:
                    replies = self._apply_bulk(columns, columns.keys, kinds)
                    if replies is not None:
                        return iter((replies,))
        return _run_in_steps(self, batch, columns, ready.wanted)

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
        ok: dict[bytes, Any] = dict.fromkeys(pairs, OK)
        replies: list[Reply] = list(map(ok.get, keys, self._data.get_all(keys)))
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

    def dicts_of(self, commands: Sequence[Command], columns: Columns) -> Iterable[Data]:
        """What each of these commands of a batch is run on, before anything else is done."""
        if columns.keys is None:
            return repeat(self._data, len(commands))
        return self._data.dicts_of(list(map(_key, commands)))

    def run(self, command: Sequence[bytes], data: Data) -> Found:
        """Run a command of a batch on `data`, which has its keys.  Raises ValueError when it is none."""
        spec = COMMANDS.get(command[0].upper())
        if spec is None or not spec.fits(len(command)):
            raise ValueError(f"a batch with the command {command[0]!r} of {len(command)} arguments")
        if spec.check is not None and len(command) != spec.plain:
            try:
                spec.check(command)
            except CommandError as error:
                raise ValueError(f"a batch with the command {command[0]!r}: {error}") from None
        return spec.handler(data, command)

    def run_in_barrier(self, command: Sequence[bytes], data: Data) -> Found:
        """The same for a command of a barrier.  A large state that it flushes is freed in steps, later."""
        if command[0].upper() in _FLUSHES and len(self._data) > self._elements_per_step:
            self._discarded += self._data.clear()
        return self.run(command, data)

    def piecewise(self, command: Sequence[bytes]) -> Piecewise | None:
        """A long command in steps; None when it has to be run in one.  Raises ValueError as `run` does."""
        spec = COMMANDS.get(command[0].upper())
        if spec is None or spec.in_pieces is None or len(command) <= self._elements_per_step:
            return None
        try:
            check(command)
        except CommandError as error:
            raise ValueError(f"a batch with the command {command[0]!r}: {error}") from None
        return spec.in_pieces(self._data, command, self._elements_per_step)

    def commands_per_step(self, length: int) -> int:
        """How many commands of up to `length` elements are run at once."""
        return max(1, self._elements_per_step // length)

    def on_appended(self, lengths: Iterable[Found]) -> None:
        """These replies come from a batch with APPEND among its commands."""
        if any(isinstance(length, int) and length >= GROWS_FROM_BYTES for length in lengths):
            self._grows = True

    def join(self, found: list[Any]) -> Iterator[None]:
        """Make bytes of the growing values in `found`, in steps."""
        return _join(found) if self._grows else iter(())

    def tidy(self) -> Iterator[None]:
        """Free what was discarded, in steps."""
        return _free(self._discarded)

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine."""
        self.restore_in_parts([entries], ready)

    def restore_in_parts(self, parts: Iterable[dict[bytes, bytes]], ready: Iterable[Ready]) -> None:
        """See IRestoresInParts."""
        self._data = ShardedDict()
        for part in parts:
            self._data.set_all(part, part.values())
        for instance in ready:
            _to_the_end(self.apply_in_steps(Ready(instance.id, instance.batch, False)))

    def keys(self) -> int:
        """See ICountsKeys."""
        return len(self._data)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        entries = self._data.entries()
        return _as_bytes(entries) if self._grows else entries  # type: ignore[return-value]


# Generators of their own, because mypyc compiles none inside the class.


def _run_in_steps(store: KeyValueStore, batch: Batch, columns: Columns, wanted: bool) -> Steps:
    """Run the commands one by one: None between two steps, then the replies, then what is to be freed."""
    commands = iter(decode_commands(columns))
    longest = 1
    appends = False
    for shape in columns.shapes:
        longest = max(longest, shape.length)
        appends = appends or shape.name.upper() == b"APPEND"
    run = store.run_in_barrier if batch.barrier else store.run
    count = store.commands_per_step(longest)
    some = list(islice(commands, count))
    replies: list[Any] = []
    while some:
        pieces = store.piecewise(some[0]) if count == 1 else None
        found: list[Any] = (
            list(map(run, some, store.dicts_of(some, columns))) if pieces is None else [(yield from pieces)]
        )
        if appends:
            store.on_appended(found)
        if wanted:
            yield from store.join(found)
            replies += found
        some = list(islice(commands, count))
        if some:
            yield None
    yield replies
    yield from store.tidy()


def _run_read(command: Command, data: Data) -> Found:
    return COMMANDS[command[0].upper()].handler(data, command)


def _joined(found: list[Any]) -> Steps:
    yield from _join(found)
    yield found


def _join(found: list[Any]) -> Iterator[None]:
    """Make bytes of the growing values in `found` and in lists in it; None after each that was copied."""
    for index, reply in enumerate(found):
        if type(reply) is Growing:
            found[index] = reply.joined()
            yield None
        elif type(reply) is list:
            yield from _join(reply)


def _free(discarded: list[dict[bytes, Value]]) -> Iterator[None]:
    """Free the values of dictionaries that nobody uses any more."""
    while discarded:
        entries = freed = 0
        while discarded and entries < ELEMENTS_PER_STEP and freed <= TIDY_BYTES:
            if discarded[-1]:
                freed += len(discarded[-1].popitem()[1])
                entries += 1
            else:
                discarded.pop()
        yield None


def _as_bytes(entries: Iterable[tuple[bytes, Value]]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in entries:
        yield key, value if type(value) is bytes else bytes(value)


def _to_the_end(steps: Steps) -> Sequence[Reply]:
    """Take all steps at once; the replies."""
    given: Sequence[Reply] = ()
    for replies in steps:
        if replies is not None:
            given = replies
    return given
