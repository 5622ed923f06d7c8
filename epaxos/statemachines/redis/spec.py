"""What the key-value store knows of a command: its name, arity and keys, and the function that runs it.

Each file of commands (`strings.py`, `keys.py`, `database.py`) ends with its list of specs;
`commands.py` joins the lists to one table.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from enum import Enum
from typing import NamedTuple, Union

from epaxos.interfaces import Command, Reply
from epaxos.statemachines.redis.growing import Growing, Value
from epaxos.statemachines.redis.shards import ShardedDict

__all__ = ["CommandSpec", "Data", "Found", "Keys", "Piecewise", "sum_in_pieces"]

Data = Union[dict[bytes, Value], ShardedDict[Value]]
"""The data that a handler is given.  A command with `Keys.FIRST` may get the shard of its key only."""
Found = Union[Reply, Growing]
"""A reply of a handler; growing values in it, also inside a list, become bytes before a client gets it."""
Piecewise = Generator[None, None, Found]
"""A command that runs in steps: yields None after each step but the last, and returns the reply."""


class Keys(Enum):
    """Which arguments of a command are keys: the first, the last (-1: the last argument), and the step."""

    NONE = (0, 0, 0)
    FIRST = (1, 1, 1)
    ALL = (1, -1, 1)
    PAIRS = (1, -1, 2)

    def of(self, command: Command) -> Sequence[bytes]:
        """The keys of `command`."""
        first, last, step = self.value
        if not first:
            return ()
        return command[1:2] if last == 1 else command[1::step]


class CommandSpec(NamedTuple):
    """A command of the store.

    `name`: in upper case.  `handler(data, command)`: runs the command and returns the reply, in a time that
    is proportional to the number of elements of the command; it joins no growing value.  `arity`: see
    CommandInfo.  `barrier`: whether the command concerns all keys.  `check(command)`: raises CommandError
    when the arguments are wrong; commands of `plain` elements need no check.
    `in_pieces(data, command, size)`: does what `handler` does, in steps of about `size` elements.
    """

    name: bytes
    handler: Callable[[Data, Command], Found]
    arity: int
    keys: Keys
    writes: bool
    barrier: bool = False
    check: Callable[[Command], None] | None = None
    plain: int = 0
    in_pieces: Callable[[Data, Command, int], Piecewise] | None = None


def sum_in_pieces(
    handler: Callable[[Data, Command], int], data: Data, command: Command, size: int
) -> Piecewise:
    """Run `handler`, which counts, on `size` arguments of `command` at a time; the sum of the counts.

    The handler must not look at the name of the command: it gets another element in that place.
    """
    count = 0
    for start in range(0, len(command) - 1, size):
        if start:
            yield
        count += handler(data, command[start : start + size + 1])
    return count
