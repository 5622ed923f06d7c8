"""The key-value store that Redis clients see.

A batch of commands crosses the cluster as columns (`columns.py`).  Bulk operations on whole columns build
and apply batches of plain SETs and GETs, which most load consists of.  The commands of other batches run
one by one, in steps of about a millisecond (`state.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, compress
from operator import itemgetter, not_
from typing import Any

from zope.interface import implementer

from epaxos.interfaces import (
    Command,
    CommandInfo,
    IClusterClock,
    IComposites,
    ICountsByDatabase,
    ICountsKeys,
    IExpires,
    IReadsBefore,
    IReplays,
    IRestoresInParts,
    ISeesElements,
    IStepwise,
    ITellsKeys,
    ITimed,
    IVersioned,
    Ready,
    Reply,
    RunAgain,
    Steps,
)
from epaxos.interfaces.audience import IPublishes
from epaxos.interfaces.memory import IBounded
from epaxos.interfaces.redis import OK, fits
from epaxos.interfaces.users import IHasUsers
from epaxos.protocol.values.membership import VERSION
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns, decode_columns
from epaxos.statemachines.redis.batches import batch_of
from epaxos.statemachines.redis.before import run_before
from epaxos.statemachines.redis.bulk import set_all_for_a_time
from epaxos.statemachines.redis.bulk_counters import add_to_counters
from epaxos.statemachines.redis.bulk_lists import push_and_pop
from epaxos.statemachines.redis.bulk_named import set_named
from epaxos.statemachines.redis.bulk_publishing import is_publishing, publish_all
from epaxos.statemachines.redis.bulk_zsets import set_scores
from epaxos.statemachines.redis.commands import COMMANDS, INTERNAL, check, commands, key_uses, keys_of
from epaxos.statemachines.redis.discards import free_large
from epaxos.statemachines.redis.memory_bound import GROWS, MemoryBound
from epaxos.statemachines.redis.moment import Moment
from epaxos.statemachines.redis.names import DATABASES, keys_named, name_of
from epaxos.statemachines.redis.portions import portions
from epaxos.statemachines.redis.removals import removal_of
from epaxos.statemachines.redis.scripts import RESOLVED, proposed
from epaxos.statemachines.redis.shards import Gathered
from epaxos.statemachines.redis.shared_settings import EVENTS
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import Keys
from epaxos.statemachines.redis.state import (
    ELEMENTS_PER_STEP,
    State,
    join,
    read_in_steps,
    run_in_steps,
)
from epaxos.statemachines.redis.values import Stored
from epaxos.statemachines.redis.versions import check_version
from epaxos.statemachines.steps import replies_of

__all__ = ["KeyValueStore", "now_of"]

BULK_STEPS = 4
"""A bulk operation applies a batch of at most this number of commands for each element of a step."""

_name = itemgetter(0)
_key = _due_key = itemgetter(1)

_BYTES = {bytes, type(None)}
_BULK = {(b"SET", 3): True, (b"GET", 2): False}
"""The shapes of commands that bulk operations apply, and whether they set."""
_BULK_RUNS: tuple[Callable[[State, Batch, Columns], Sequence[Reply] | None], ...] = (
    set_named,
    add_to_counters,
    push_and_pop,
    publish_all,
    set_scores,
)
"""What else runs batches of certain shapes all at once: the replies, None for any other batch."""


@implementer(
    IStepwise,
    IRestoresInParts,
    IReadsBefore,
    IExpires,
    ICountsByDatabase,
    ICountsKeys,
    ITellsKeys,
    ISeesElements,
    ITimed,
    IVersioned,
    IComposites,
    IReplays,
    IPublishes,
    IBounded,
    IHasUsers,
)
class KeyValueStore:
    """Values by keys.  `elements_per_step`: see ELEMENTS_PER_STEP; tests take fewer.

    `refuses_undeclared`: see ScriptTable.is_refusing.
    """

    databases = DATABASES
    """See IComposites."""
    name_of = staticmethod(name_of)
    keys_named = staticmethod(keys_named)
    """See IComposites."""

    def __init__(self, elements_per_step: int = ELEMENTS_PER_STEP, refuses_undeclared: bool = False) -> None:
        self._state = State(elements_per_step)
        self._state.scripts.is_refusing = refuses_undeclared
        self.use_audience = self._state.telling.use
        """See IPublishes."""
        self._version = VERSION
        self._clock = IClusterClock(_NoClock())
        self._new_seed: Callable[[], int] = _no_chance
        self.users = self._state.users
        self.users.key_uses = key_uses
        """See IHasUsers."""
        self.bound = MemoryBound(self._state, lambda: self._new_seed())
        """See IBounded."""

    def use_clock(self, clock: IClusterClock, new_seed: Callable[[], int]) -> None:
        """See ITimed."""
        self._clock = clock
        self._new_seed = new_seed

    def on_version(self, version: int) -> None:
        """See IVersioned."""
        self._version = version

    # -- what clients may ask

    def check(self, command: Command) -> None:
        """See IStateMachine."""
        if self._version < VERSION:
            check_version(command, self._version)
        check(command, self._clock.is_trusted or self._clock.is_settling)
        if self.bound.is_full:
            self.bound.check(COMMANDS[command[0].upper()].flags)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IStateMachine."""
        spec = COMMANDS.get(name.upper())
        return (
            spec is not None
            and not name.startswith(INTERNAL)
            and spec.since <= self._version
            and fits(spec.arity, length)
            and (length == spec.plain or (spec.check is None and spec.takes_time is None))
            and not (self.bound.is_full and GROWS in spec.flags)
        )

    def commands(self) -> Sequence[CommandInfo]:
        """See IStateMachine."""
        return commands()

    def keys_of(self, command: Command) -> Sequence[bytes]:
        """See ITellsKeys."""
        return keys_of(command)

    def elements(self, database: int, command: Command, key: bytes) -> int:
        """See ISeesElements.  A key counts while it is there, even if its deadline has come."""
        elements_of = COMMANDS[command[0].upper()].elements
        stored = self._state.databases[database].get(key)
        value = stored[0] if isinstance(stored, tuple) else stored
        return 0 if elements_of is None else elements_of(value, command, key)

    def is_read(self, name: bytes) -> bool:
        """See IStateMachine."""
        spec = COMMANDS[name.upper()]
        return spec.keys is Keys.FIRST and not (spec.writes or spec.barrier or spec.find or spec.takes_seed)

    # -- reads that are not replicated

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        return replies_of(self.read_in_steps(commands))

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        """See IStepwise."""
        state = self._state
        if self.bound.is_watching:
            self.bound.touch_keys(map(_key, commands))
        if {name.upper() for name in set(map(_name, commands))} == {b"GET"}:
            found: list[Any] = state.data.get_all(list(map(_key, commands)))
            if not state.has_objects or _BYTES.issuperset(map(type, found)):
                return iter((found,))
        return read_in_steps(state, commands, Space(state, Moment(now_of(self._clock), 0, ())))

    def read_before(self, command: Command, batch: Batch) -> Reply:
        """See IReadsBefore."""
        found = run_before(self._state, COMMANDS[command[0].upper()], command, batch)
        again = found if isinstance(found, RunAgain) else None
        replies: list[Any] = [found] if again is None else again.known or []
        for _ in join(replies):
            """Growing values become bytes, all at once."""
        return replies[0] if again is None else again

    # -- keys that end by themselves

    def is_due(self) -> bool:
        """See IExpires."""
        deadlines = self._state.deadlines
        deadlines.sweep()
        return deadlines.is_due(self._clock.now_ms())

    def removed(self) -> int:
        """See IExpires."""
        return self._state.deadlines.removed

    def take_due(self) -> Sequence[Command]:
        """See IExpires."""
        due = self._state.deadlines.take(self._clock.now_ms())
        return list(map(removal_of, portions(due, _due_key)))

    # -- batches

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        names = set(map(_name, commands))
        if not RESOLVED.isdisjoint(map(bytes.upper, names)):
            commands = proposed(commands, self._state.scripts, self.bound.is_full)
            names = set(map(_name, commands))
        return batch_of(commands, names, now_of(self._clock), self._new_seed)

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """See IStateMachine."""
        return [replies_of(self.apply_in_steps(instance)) for instance in ready]

    def apply_in_steps(self, ready: Ready) -> Steps:
        """See IStepwise."""
        columns = decode_columns(ready.batch)
        if self.bound.is_watching:
            self.bound.touch(ready.batch, columns)
        return self._apply(ready.batch, columns, ready.wanted, ready.kept)

    def _apply(self, batch: Batch, columns: Columns, wanted: bool, is_kept: bool) -> Steps:
        state = self._state
        if (
            columns.keys is not None
            and batch.commands <= BULK_STEPS * state.elements_per_step
            and not state.telling.begin(is_kept, state.settings.values[EVENTS])
        ):
            kinds = _kinds_of(columns)
            if None not in kinds:
                if not wanted or False not in kinds:
                    _set_all(state, batch, columns, columns.keys, kinds)
                    return chain(([OK] * batch.commands if wanted else (),), free_large())
                replies = _set_and_get_all(state, batch, columns, columns.keys, kinds)
                if replies is not None:
                    return chain((replies,), free_large())
            elif set_all_for_a_time(state, batch, columns):
                return chain(([OK] * batch.commands if wanted else (),), free_large())
            else:
                for run in _BULK_RUNS:
                    found = run(state, batch, columns)
                    if found is not None:
                        return chain((found if wanted else (),), free_large())
        return run_in_steps(state, batch, columns, wanted, is_kept)

    def replay(self, ready: Ready) -> Sequence[Reply]:
        """See IReplays."""
        self._state.telling.be_silent(True)
        try:
            return replies_of(self.apply_in_steps(ready))
        finally:
            self._state.telling.be_silent(False)

    # -- the whole state

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine."""
        self.restore_in_parts([entries], ready)

    def restore_in_parts(self, parts: Iterable[dict[bytes, bytes]], ready: Iterable[Ready]) -> None:
        """See IRestoresInParts.  The SETs of batches of plain SETs and GETs are gathered until another batch
        comes."""
        state = self._state
        state.restore(parts)
        state.telling.be_silent(True)
        gathered: Gathered[Stored] = Gathered()
        for instance in ready:
            columns = decode_columns(instance.batch)
            keys, kinds = columns.keys, _kinds_of(columns)
            if is_publishing(columns):
                continue
            if keys is None or None in kinds or state.is_watched:
                gathered.settle(state.data)
                replies_of(self._apply(instance.batch, columns, False, False))
            else:
                set_keys = _set_keys(columns, keys, kinds) if False in kinds else keys
                gathered.set_all(set_keys, columns.arguments, state.data)
        gathered.settle(state.data)
        state.telling.be_silent(False)

    def keys(self) -> int:
        """See ICountsKeys."""
        return len(self._state)

    def keyspace(self) -> Mapping[int, tuple[int, int]]:
        """See ICountsByDatabase.  A key whose deadline a plain SET has taken away may count for a while."""
        state = self._state
        return {
            number: (len(data), min(len(data), state.deadlines.count(number)))
            for number, data in enumerate(state.databases)
            if len(data)
        }

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        return self._state.entries()


def now_of(clock: IClusterClock) -> int:
    """The time for what is proposed or read now.  By a clock that may be wrong no key is gone."""
    return clock.now_ms() if clock.is_trusted else 0


@implementer(IClusterClock)
class _NoClock:
    """The time of a store that was told none."""

    is_trusted = is_settling = False

    def now_ms(self) -> int:
        """See IClusterClock."""
        return 0


def _no_chance() -> int:
    return 0


# -- bulk operations; `kinds`: for each shape whether its commands are SETs; None: neither SETs nor GETs


def _kinds_of(columns: Columns) -> list[bool | None]:
    return [_BULK.get((shape.name.upper(), shape.length)) for shape in columns.shapes]


def _set_all(
    state: State,
    batch: Batch,
    columns: Columns,
    keys: Sequence[bytes],
    kinds: list[bool | None],
) -> None:
    """Run the SETs among the commands.  Where no client waits for replies, nothing else has to run."""
    set_keys = _set_keys(columns, keys, kinds) if False in kinds else keys
    state.on_written(batch)
    data = state.data
    if len(set_keys) == len(batch.writes):
        data.set_all(set_keys, columns.arguments)
    else:  # some keys are set more than once
        data.update(zip(set_keys, columns.arguments))


def _set_and_get_all(
    state: State, batch: Batch, columns: Columns, keys: Sequence[bytes], kinds: list[bool | None]
) -> Sequence[Reply] | None:
    """Run plain SETs and GETs, and return their replies.

    None when a key is both set and read, because then the order of SETs and GETs matters, and when a value
    is anything but bytes.
    """
    pairs = dict(zip(_set_keys(columns, keys, kinds), columns.arguments))
    is_read = map(not_, map(kinds.__getitem__, columns.which))
    if not pairs.keys().isdisjoint(compress(keys, is_read)):
        return None
    found: list[Any] = state.data.get_all(keys)
    if state.has_objects and not _BYTES.issuperset(map(type, found)):
        return None
    state.on_written(batch)
    ok: dict[bytes, Any] = dict.fromkeys(pairs, OK)
    replies: list[Reply] = list(map(ok.get, keys, found))
    state.data.set_all(pairs, pairs.values())
    return replies


def _set_keys(columns: Columns, keys: Sequence[bytes], kinds: list[bool | None]) -> Sequence[bytes]:
    """The keys of the SETs, where the batch has other commands, too."""
    return list(compress(keys, map(kinds.__getitem__, columns.which)))
