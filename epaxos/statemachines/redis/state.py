"""The state of the key-value store, and how commands that no bulk operation covers run on it, one by one.

Steps are about a millisecond long, because the event loop does nothing else during a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from operator import itemgetter
from typing import Any

from epaxos.interfaces import CommandError, Steps
from epaxos.interfaces.redis import fits
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns, decode_commands
from epaxos.statemachines.redis.commands import COMMANDS, check
from epaxos.statemachines.redis.database import FLUSHES
from epaxos.statemachines.redis.growing import GROWS_FROM_BYTES, Growing, Value
from epaxos.statemachines.redis.shards import ShardedDict
from epaxos.statemachines.redis.spec import Data, Found, Piecewise

__all__ = ["ELEMENTS_PER_STEP", "State", "join", "run_in_steps"]

ELEMENTS_PER_STEP = 1024
"""A step runs commands of about this number of elements, which takes about a millisecond."""
TIDY_BYTES = 4_000_000
"""A step that frees a flushed state frees about this number of bytes, or ELEMENTS_PER_STEP keys."""

_key = itemgetter(1)


class State:
    """The values by their keys.  `elements_per_step`: see ELEMENTS_PER_STEP; tests take fewer."""

    def __init__(self, elements_per_step: int) -> None:
        self.data: ShardedDict[Value] = ShardedDict()
        self.elements_per_step = elements_per_step
        self.may_grow = False
        """Whether a value may be a Growing."""
        self.discarded: list[dict[bytes, Value]] = []
        """What a flush has removed and nobody has freed yet."""

    def dicts_of(self, commands: Sequence[Sequence[bytes]], columns: Columns) -> Iterable[Data]:
        """The data that each of these commands of a batch runs on, as long as nothing else changes."""
        if columns.keys is None:
            return repeat(self.data, len(commands))
        return self.data.dicts_of(list(map(_key, commands)))

    def run(self, command: Sequence[bytes], data: Data) -> Found:
        """Run one command of a batch on `data`, which has its keys.  Raises ValueError for an unknown one."""
        spec = COMMANDS.get(command[0].upper())
        if spec is None or not fits(spec.arity, len(command)):
            raise ValueError(f"a batch with the command {command[0]!r} of {len(command)} arguments")
        if spec.check is not None and len(command) != spec.plain:
            try:
                spec.check(command)
            except CommandError as error:
                raise ValueError(f"a batch with the command {command[0]!r}: {error}") from None
        return spec.handler(data, command)

    def run_in_barrier(self, command: Sequence[bytes], data: Data) -> Found:
        """As `run`, for a command of a barrier.  A large state that it flushes is freed in later steps."""
        if command[0].upper() in FLUSHES and len(self.data) > self.elements_per_step:
            self.discarded += self.data.clear()
        return self.run(command, data)

    def piecewise(self, command: Sequence[bytes]) -> Piecewise | None:
        """A long command in steps; None when it has to run in one step.  Raises ValueError as `run` does."""
        spec = COMMANDS.get(command[0].upper())
        if spec is None or spec.in_pieces is None or len(command) <= self.elements_per_step:
            return None
        try:
            check(command)
        except CommandError as error:
            raise ValueError(f"a batch with the command {command[0]!r}: {error}") from None
        return spec.in_pieces(self.data, command, self.elements_per_step)

    def on_appended(self, lengths: Iterable[Found]) -> None:
        """These replies come from a batch with an APPEND: see whether a value has begun to grow."""
        if any(isinstance(length, int) and length >= GROWS_FROM_BYTES for length in lengths):
            self.may_grow = True


# Generators stand outside of classes, because mypyc compiles none inside a decorated class.


def run_in_steps(state: State, batch: Batch, columns: Columns, wanted: bool) -> Steps:
    """Run the commands of `batch` one by one: None between two steps, then the replies, then tidying.

    The replies are empty unless they are `wanted`.
    """
    commands = iter(decode_commands(columns))
    longest = 1
    appends = False
    for shape in columns.shapes:
        longest = max(longest, shape.length)
        appends = appends or shape.name.upper() == b"APPEND"
    run = state.run_in_barrier if batch.barrier else state.run
    count = max(1, state.elements_per_step // longest)
    some = list(islice(commands, count))
    replies: list[Any] = []
    while some:
        pieces = state.piecewise(some[0]) if count == 1 else None
        found: list[Any] = (
            list(map(run, some, state.dicts_of(some, columns))) if pieces is None else [(yield from pieces)]
        )
        if appends:
            state.on_appended(found)
        if wanted:
            if state.may_grow:
                yield from join(found)
            replies += found
        some = list(islice(commands, count))
        if some:
            yield None
    yield replies
    yield from _free(state.discarded)


def join(found: list[Any]) -> Iterator[None]:
    """Make bytes of the growing values in `found` and in the lists in it; None after each copy."""
    for index, reply in enumerate(found):
        if type(reply) is Growing:
            found[index] = reply.joined()
            yield None
        elif type(reply) is list:
            yield from join(reply)


def _free(discarded: list[dict[bytes, Value]]) -> Iterator[None]:
    """Free the values of dictionaries that nobody uses any more, in steps."""
    while discarded:
        entries = freed = 0
        while discarded and entries < ELEMENTS_PER_STEP and freed <= TIDY_BYTES:
            if discarded[-1]:
                freed += len(discarded[-1].popitem()[1])
                entries += 1
            else:
                discarded.pop()
        yield None
