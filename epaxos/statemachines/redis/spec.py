"""How a command of the store is described."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from enum import Enum
from typing import Any, NamedTuple, Union

from epaxos.interfaces import Command, CommandError, Reply, SubcommandInfo
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.space import Due, Space

__all__ = [
    "CommandSpec",
    "Found",
    "Keys",
    "Piecewise",
    "Touched",
    "always",
    "at_once",
    "never",
    "sum_in_pieces",
]

Found = Union[Reply, Growing]
"""A reply of a handler; growing values in it, also inside a list, become bytes before a client gets it."""
Piecewise = Generator[None, None, Found]
"""A command that runs in steps: yields None after each step but the last, and returns the reply."""


class Touched(NamedTuple):
    """What one command writes and what it only reads: names (`names.py`).  A barrier touches everything."""

    writes: Sequence[bytes] = ()
    reads: Sequence[bytes] = ()
    barrier: bool = False


class Keys(Enum):
    """Which arguments of a command are keys: the first, the last (-1: the last argument, -2: the one before),
    and the step."""

    NONE = (0, 0, 0)
    FIRST = (1, 1, 1)
    TWO = (1, 2, 1)
    ALL = (1, -1, 1)
    ALL_BUT_LAST = (1, -2, 1)
    PAIRS = (1, -1, 2)
    OPERANDS = (2, -1, 1)

    def of(self, command: Command) -> Sequence[bytes]:
        """The keys of `command`."""
        first, last, step = self.value
        if not first:
            return ()
        return command[first : (last + 1) or None : step]


class CommandSpec(NamedTuple):
    """A command of the store.

    `name`: in upper case.  `handler(space, command)`: runs the command and returns the reply, in a time that
    is proportional to the number of elements of the command; it joins no growing value.  It may raise
    CommandError before it has changed anything, and lets Due through.  `arity`: see CommandInfo.  `writes`:
    whether it may change something.  `barrier`: whether the command concerns all keys.

    `usage`, `summary`: how it is called, and one sentence for people.  `since`: the lowest version of the
    cluster that has it.  `flags`: what COMMAND tells beside `write`, `readonly` and `movablekeys`;
    `categories`: those of Redis beside @read, @write, @fast and @slow, which follow.
    `complexity`: for people.  `subcommands`: see CommandInfo.

    `check(command)`: raises CommandError when the arguments are wrong; commands of `plain` elements need no
    check.  `find(command)`: what the command touches, where `keys`, which COMMAND shows, cannot tell; None
    where it can, as always for `plain` elements.
    `options_from`: the element from which on `check` looks at the arguments, and whether `find` finds
    something depends on them; 0 where both may look at all.
    `in_pieces(space, command, size)`: does what `handler` does, in steps of about `size` elements.
    `is_large(space, command)`: for a command whose time depends on the value of its key and not on its own
    elements: whether it has to run in pieces.  Such a command has a step of its own in any case, but for one
    of `plain` elements, which is never large.
    `takes_time(command)`: whether its effect depends on the time.  `takes_seed`: whether on chance.
    `is_long(command)`: whether it runs in pieces though it is short.
    `here`: what runs instead of `handler` where a client has sent the command by itself, so that its reply
    need not be the same at every replica.  `hides_keys`: whether COMMAND shows no keys.
    `elements(value, command, key)`: for a command with which clients may wait: for how many of its kind there
    is something at `key`, which has this value, or none.
    """

    name: bytes
    handler: Callable[[Space, Command], Found]
    arity: int
    keys: Keys
    writes: bool
    barrier: bool = False
    usage: str = ""
    summary: str = ""
    since: int = 2
    flags: tuple[str, ...] = ("fast",)
    categories: tuple[str, ...] = ()
    complexity: str = "O(1)"
    check: Callable[[Command], None] | None = None
    plain: int = 0
    find: Callable[[Command], Touched | None] | None = None
    in_pieces: Callable[[Space, Command, int], Piecewise] | None = None
    is_large: Callable[[Space, Command], bool] | None = None
    takes_time: Callable[[Command], bool] | None = None
    takes_seed: bool = False
    subcommands: tuple[SubcommandInfo, ...] = ()
    is_long: Callable[[Command], bool] | None = None
    here: Callable[[Space, Command], Found] | None = None
    hides_keys: bool = False
    elements: Callable[[Any, Command, bytes], int] | None = None
    options_from: int = 0

    def touched(self, command: Command) -> Touched:
        """What `command` writes and reads; in database 0, unless `find` says otherwise."""
        if self.barrier:
            return Touched(barrier=True)
        if self.find is not None and (found := self.find(command)) is not None:
            return found
        keys = self.keys.of(command)
        return Touched(keys) if self.writes else Touched((), keys)

    def lacks_time(self, space: Space, command: Command) -> bool:
        """Whether `command` needs the time, and its leader has lost the trust in its clock since `check`."""
        return not space.now_ms and self.takes_time is not None and self.takes_time(command)

    def takes_long(self, space: Space, command: Command) -> bool:
        """Whether `command`, of a length that fits, has to run in pieces, however few elements it has."""
        if self.is_long is not None and self.is_long(command):
            return True
        if self.is_large is None:
            return False
        try:
            return self.is_large(space, command)
        except (CommandError, Due):
            return False  # the handler comes to the same


def sum_in_pieces(
    handler: Callable[[Space, Command], int], space: Space, command: Command, size: int
) -> Piecewise:
    """Run `handler`, which counts, on `size` arguments of `command` at a time; the sum of the counts.

    The handler must not look at the name of the command: it gets another element in that place.
    """
    count = 0
    for start in range(0, len(command) - 1, size):
        if start:
            yield
        count += handler(space, command[start : start + size + 1])
    return count


def always(space: Space, command: Command) -> bool:
    """For `is_large` of a command that may take long whatever its key holds."""
    return True


def never(space: Space, command: Command) -> bool:
    """For `is_large` of a command that has a step of its own, and never takes long."""
    return False


def at_once(
    in_pieces: Callable[[Space, Command, int], Piecewise], size: int = 1024
) -> Callable[[Space, Command], Found]:
    """The handler that does in one step what `in_pieces` does in several: for scripts, and the like."""

    def handler(space: Space, command: Command) -> Found:
        steps = in_pieces(space, command, size)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: Found = end.value
                return found

    return handler
