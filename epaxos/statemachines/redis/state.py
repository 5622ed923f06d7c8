"""The state of the key-value store, and how commands that no bulk operation covers run on it, one by one.

Steps are about a millisecond long, because the event loop does nothing else during a step.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from epaxos.interfaces import Command, CommandError, RunAgain, SimpleString, Steps
from epaxos.interfaces.redis import CLOCK_SKEW, fits
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns, Shape, decode_commands
from epaxos.statemachines.redis.commands import COMMANDS
from epaxos.statemachines.redis.deadlines import Deadlines
from epaxos.statemachines.redis.discards import free
from epaxos.statemachines.redis.entries import OTHER, EntryReader, entries_of
from epaxos.statemachines.redis.events import tell_expired, telling_table
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.moment import NOTHING, Everything, Moment
from epaxos.statemachines.redis.names import DATABASES
from epaxos.statemachines.redis.parts import Part
from epaxos.statemachines.redis.removals import removal_of
from epaxos.statemachines.redis.shards import Gathered, ShardedDict
from epaxos.statemachines.redis.shared_settings import EVENTS
from epaxos.statemachines.redis.space import Again, Due, Keyspace, Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Piecewise
from epaxos.statemachines.redis.values import Stored
from epaxos.statemachines.redis.weights import weight_of

__all__ = [
    "ELEMENTS_PER_STEP",
    "State",
    "join",
    "moment_of",
    "read_in_steps",
    "run_in_steps",
    "run_one",
]

ELEMENTS_PER_STEP = 1024
"""A step runs commands of about this number of elements, which takes about a millisecond."""
_LONG = frozenset(name for name, spec in COMMANDS.items() if spec.is_long is not None)
_LARGE = frozenset(name for name, spec in COMMANDS.items() if spec.is_large is not None)
_JOINED = {bytes, int, type(None), SimpleString, CommandError, float}
"""Replies in which no growing value is."""


Handler = Callable[[Space, Command], Found]
_TELLING = telling_table(COMMANDS)


class State(Keyspace):
    """The values by their keys.  `elements_per_step`: see ELEMENTS_PER_STEP; tests take fewer.

    `parts`: what it holds beside keys, by the byte with which the names of its entries begin.
    """

    def __init__(self, elements_per_step: int) -> None:
        super().__init__([ShardedDict() for _ in range(DATABASES)])
        self.elements_per_step = elements_per_step
        self.call = _call
        self.deadlines = Deadlines(self._deadline_of, self.__len__)
        self.on_deadline = self.deadlines.add
        self.on_gone = self.deadlines.gone
        self.on_exchange = self.deadlines.swap
        self.on_expired = partial(tell_expired, self.telling)
        self.table = COMMANDS
        self.parts: dict[bytes, Part] = {
            b"c": self.settings,
            b"f": self.fences,
            b"m": self.marks,
            b"s": self.scripts,
            b"u": self.users,
        }

    @property
    def data(self) -> ShardedDict[Stored]:
        """Database 0."""
        return self.databases[0]

    def __len__(self) -> int:
        return sum(map(len, self.databases))

    def _deadline_of(self, database: int, key: bytes) -> int | None:
        stored = self.databases[database].get(key)
        return stored[1] if isinstance(stored, tuple) else None

    # -- the whole state

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """The entries as they are now."""
        taken = [
            (number, data.entries()) for number, data in enumerate(self.databases) if not number or len(data)
        ]
        others = [
            (letter + name, data) for letter, part in self.parts.items() for name, data in part.entries()
        ]
        return entries_of(taken, others)

    def restore(self, parts: Iterable[dict[bytes, bytes]]) -> None:
        """Hold what `entries` told, and nothing else.  Raises ValueError for what it cannot have told."""
        self.databases[:] = [ShardedDict() for _ in range(DATABASES)]
        others: dict[bytes, list[tuple[bytes, bytes]]] = {letter: [] for letter in self.parts}
        gathered: Gathered[Stored] = Gathered()
        reader = EntryReader()
        for part in parts:
            for number, key, value in list(reader.take(part)):
                if number == OTHER and key[:1] in others:
                    others[key[:1]].append((key[1:], value))  # type: ignore[arg-type]
                else:
                    self._restore(number, key, value)
            gathered.set_all(part, part.values(), self.data)
        gathered.settle(self.data)
        for number, key, value in reader.whole():
            self._restore(number, key, value)
        for letter, entries in others.items():
            self.parts[letter].restore(entries)
        self.see_who_watches()

    def _restore(self, number: int, key: bytes, stored: Stored) -> None:
        if number >= DATABASES:
            raise ValueError(f"an entry {key!r} of a later version")
        self.has_objects = self.has_objects or type(stored) is not bytes
        self.databases[number][key] = stored
        if isinstance(stored, tuple):
            self.on_deadline(number, key, stored[1])

    # -- commands

    def on_written(self, batch: Batch) -> None:
        """The keys that the batch writes, all of them in database 0, change now."""
        if self.is_watched:
            for key in batch.writes:
                self.marks.on_write(0, key)

    def begin(self, is_kept: bool) -> None:
        """The commands of a batch begin to run."""
        is_telling = self.telling.begin(is_kept, self.settings.values[EVENTS])
        self.table = _TELLING if is_telling else COMMANDS
        self.see_who_watches()

    def end(self) -> None:
        """They have run."""
        self.telling.end()
        self.table = COMMANDS
        self.see_who_watches()

    def piecewise(self, command: Command, space: Space) -> Piecewise | None:
        """A long command in steps; None when it has to run in one step.  Raises ValueError as `run` does."""
        spec: CommandSpec | None = self.table.get(command[0].upper())
        if spec is None or spec.in_pieces is None:
            return None
        if not fits(spec.arity, len(command)):
            raise ValueError(f"a batch with the command {command[0]!r} of {len(command)} arguments")
        if len(command) <= self.elements_per_step and not spec.takes_long(space, command):
            return None
        if spec.check is not None:
            _check_again(spec, command)
        return _run_in_pieces(spec, command, space, self.elements_per_step)


def _handler_of(shape: Shape, table: Mapping[bytes, CommandSpec], is_kept: bool) -> Handler:
    """What runs commands of a batch.  Raises ValueError for those that cannot be in a batch.

    `is_kept`: whether the replies have to be the same at every replica.
    """
    spec = table.get(shape.name.upper())
    if spec is None or not fits(spec.arity, shape.length):
        raise ValueError(f"a batch with the command {shape.name!r} of {shape.length} arguments")
    is_plain = spec.check is None or shape.length == spec.plain
    if is_plain and spec.takes_time is None:
        return spec.handler if spec.here is None or is_kept else spec.here

    def check_and_run(space: Space, command: Command) -> Found:
        if not is_plain:
            _check_again(spec, command)
        return CommandError(CLOCK_SKEW) if spec.lacks_time(space, command) else spec.handler(space, command)

    return check_and_run


def _may_be_large(shape: Shape) -> bool:
    name = shape.name.upper()
    return name in _LARGE and shape.length != COMMANDS[name].plain


def _run_all(commands: Iterable[Command], space: Space, handlers: dict[Shape, Handler]) -> list[Found]:
    """The replies.  What takes time here takes it for each command, so the common case is short."""
    found: list[Found] = []
    rest = iter(commands)
    while True:
        command: Command = ()
        try:
            for command in rest:
                found.append(handlers[command[0], len(command)](space, command))  # type: ignore[index]
            return found
        except CommandError as error:
            found.append(error.with_traceback(None))  # the traceback leads here, and so to the error itself
        except Again as again:
            found.append(_put_off(again, space))
            return [*found, *(RunAgain(NOTHING) for _ in rest)]
        except Due as due:
            found.append(_again(due, COMMANDS[command[0].upper()], command, space))


def _check_again(spec: CommandSpec, command: Command) -> None:
    assert spec.check is not None
    try:
        spec.check(command)
    except CommandError as error:
        raise ValueError(f"a batch with the command {command[0]!r}: {error}") from None


def _call(command: Command, space: Space) -> Found:
    """See Space.call."""
    spec: CommandSpec = space.everything.table[command[0].upper()]
    try:
        return CommandError(CLOCK_SKEW) if spec.lacks_time(space, command) else spec.handler(space, command)
    except CommandError as error:
        return error.with_traceback(None)


def run_one(spec: CommandSpec, command: Command, space: Space) -> Found:
    """Run a command whose arguments are right; the reply, or RunAgain."""
    try:
        return CommandError(CLOCK_SKEW) if spec.lacks_time(space, command) else spec.handler(space, command)
    except CommandError as error:
        return error.with_traceback(None)  # the traceback leads here, and so to the error itself
    except Again as again:
        return RunAgain(again.first)
    except Due as due:
        return _again(due, spec, command, space)


def _put_off(again: Again, space: Space) -> RunAgain:
    """The command runs again, and all behind it in its batch do."""
    space.moment.is_put_off = True
    return RunAgain(again.first)


def _again(due: Due, spec: CommandSpec, command: Command, space: Space) -> RunAgain:
    """The removal of `due`, and of what else of the keys of the command is due, then the command again."""
    found = {(due.database, due.key): due.deadline_ms}
    touched = spec.touched(command)
    for key in (*spec.keys.of(command), *touched.reads, *touched.writes):
        deadline_ms = space.due_at(key)
        if deadline_ms is not None:
            found[space.database, key] = deadline_ms
    return RunAgain(removal_of((*place, deadline_ms) for place, deadline_ms in found.items()))


# Generators stand outside of classes, because mypyc compiles none inside a decorated class.


def _run_in_pieces(spec: CommandSpec, command: Command, space: Space, size: int) -> Piecewise:
    assert spec.in_pieces is not None
    if spec.lacks_time(space, command):
        return CommandError(CLOCK_SKEW)
    try:
        return (yield from spec.in_pieces(space, command, size))
    except CommandError as error:
        return error.with_traceback(None)
    except Again as again:
        return _put_off(again, space)
    except Due as due:
        return _again(due, spec, command, space)


def moment_of(batch: Batch, columns: Columns) -> Moment:
    """The time, chance, and writes of a batch."""
    writes: Container[bytes] = batch.writes
    if batch.barrier:
        writes = Everything()
    elif len(batch.writes) > 4:
        writes = frozenset(batch.writes)
    return Moment(columns.time_ms, columns.seed, writes)


def run_in_steps(state: State, batch: Batch, columns: Columns, wanted: bool, is_kept: bool = False) -> Steps:
    """Run the commands of `batch` one by one: None between two steps, then the replies, then tidying.

    The replies are empty unless they are `wanted`.  `is_kept`: see Ready.
    """
    state.begin(is_kept)
    commands = iter(decode_commands(columns))
    space = Space(state, moment_of(batch, columns))
    handlers = {shape: _handler_of(shape, state.table, is_kept) for shape in columns.shapes}
    names = {shape.name.upper() for shape in columns.shapes}
    heaviest = max(weight_of(shape.name.upper(), shape.length) for shape in columns.shapes)
    count = 1 if any(map(_may_be_large, columns.shapes)) else max(1, state.elements_per_step // heaviest)
    may_be_long = not names.isdisjoint(_LONG)
    some = list(islice(commands, count))
    replies: list[Any] = []
    found: list[Any]
    while some:
        is_put_off = space.moment.is_put_off
        pieces = state.piecewise(some[0], space) if count == 1 and not is_put_off else None
        if is_put_off:
            found = [RunAgain(NOTHING) for _ in some]
        elif pieces is not None:
            found = [(yield from pieces)]
        elif may_be_long and count > 1:
            found = yield from _run_each(state, some, space, handlers)
        else:
            found = _run_all(some, space, handlers)
        if wanted:
            if state.has_objects:
                yield from join(found)
            replies += found
        some = list(islice(commands, count))
        if some:
            yield None
    state.end()
    yield replies
    yield from free(state.discarded)


def _run_each(
    state: State, commands: Sequence[Command], space: Space, handlers: dict[Shape, Handler]
) -> Generator[None, None, list[Any]]:
    """Run commands some of which run in pieces; None after each piece."""
    found: list[Any] = []
    for command in commands:
        if space.moment.is_put_off:
            found.append(RunAgain(NOTHING))
            continue
        pieces = state.piecewise(command, space)
        if pieces is None:
            found += _run_all([command], space, handlers)
        else:
            found.append((yield from pieces))
            yield
    return found


def read_in_steps(state: State, commands: Sequence[Command], space: Space) -> Steps:
    """Run commands that only read, one by one: None between two steps, then the replies."""
    replies: list[Any] = []
    for start in range(0, len(commands), ELEMENTS_PER_STEP):
        if start:
            yield None
        some = commands[start : start + ELEMENTS_PER_STEP]
        found: list[Any] = []
        weight = 0
        for command in some:
            spec = COMMANDS[command[0].upper()]
            pieces = state.piecewise(command, space)
            found.append(run_one(spec, command, space) if pieces is None else (yield from pieces))
            weight += weight_of(spec.name, len(command))
            if spec.is_large is not None or spec.is_long is not None or weight > ELEMENTS_PER_STEP:
                yield None
                weight = 0
        if state.has_objects:
            yield from join(found)
        replies += found
    yield replies


def join(found: list[Any]) -> Iterator[None]:
    """Make bytes of the growing values in `found` and in the lists in it; None after each copy, and after
    each ELEMENTS_PER_STEP elements."""
    for start in range(0, len(found), ELEMENTS_PER_STEP):
        if start:
            yield None
        some = found[start : start + ELEMENTS_PER_STEP]
        elements = 0
        if _JOINED.issuperset(map(type, some)):
            continue
        for index, reply in enumerate(some, start):
            if isinstance(reply, Growing):
                found[index] = reply.joined()
                yield None
            elif isinstance(reply, list):
                yield from join(reply)
                elements += len(reply)
                if elements > ELEMENTS_PER_STEP:
                    yield None
                    elements = 0
