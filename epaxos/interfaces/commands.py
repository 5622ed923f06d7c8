"""Commands of clients, and the replies to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Union

__all__ = [
    "Command",
    "CommandError",
    "CommandInfo",
    "NilArray",
    "Outcome",
    "Reply",
    "ReplyByKey",
    "ReplyMap",
    "ReplyPairs",
    "ReplySet",
    "RunAgain",
    "SimpleString",
    "SubcommandInfo",
    "Unavailable",
]

Command = Sequence[bytes]
"""One client command: its name and arguments, as the client sent them."""


class SimpleString(str):
    """A reply that is a status, not data: `OK`, `PONG`."""

    __slots__ = ()


class CommandError(Exception):
    """A command that cannot be run.  The text is what the client is told, its error code first.

    Raised before replication (`IStateMachine.check`).  At execution it is returned as a reply like any other,
    because every replica comes to the same one.
    """


class RunAgain:
    """Instead of a reply: the command has had no effect, and is to run once more behind `first`.

    `first` is a command that the state machine itself understands; it is not given to `check`.  No client is
    told this: it gets the reply of the run behind `first`.  Only a command that reads a key which its batch
    does not write may answer it, and only at its outermost, not in a list.

    `known`: None, or the reply, alone in a list.  Then the command need not run again, and the client gets
    this reply once `first` has run.
    """

    __slots__ = ("first", "known")

    def __init__(self, first: Command, known: list[Reply] | None = None) -> None:
        self.first = first
        self.known = known


Reply = Union[None, int, float, bytes, SimpleString, CommandError, RunAgain, "list[Any]"]
"""The answer to one command.  A list holds replies.  A float is a double in RESP3, and its text in RESP2."""


class Unavailable(Exception):
    """The commands were not executed in time, or not accepted.  The text is what the client is told.

    `may_have_run`: whether the commands may have been executed, or may still be, later.
    """

    def __init__(self, message: str, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


Outcome = Union["Sequence[Reply]", Unavailable]
"""What becomes of commands that were submitted together: one reply for each, or a failure of all."""


class SubcommandInfo(NamedTuple):
    """What the command `COMMAND` tells about one of the second words that a command has.

    `name` and `arity` count both words; `key`: which argument is the key, 0 when there is none.  `flags` and
    `categories` are all that Redis has, but for @fast and @slow.
    """

    name: str
    arity: int
    key: int
    flags: tuple[str, ...]
    categories: tuple[str, ...]


class ReplyMap(list):  # type: ignore[type-arg]
    """A reply of keys and values in turn: a map in RESP3, and a flat list in RESP2."""


class ReplySet(list):  # type: ignore[type-arg]
    """A reply of elements in no order that means anything: a set in RESP3, and a list in RESP2."""


class ReplyPairs(list):  # type: ignore[type-arg]
    """A reply of keys and values in turn: a list of pairs in RESP3, and a flat list in RESP2."""


class ReplyByKey(list):  # type: ignore[type-arg]
    """A reply of keys and values in turn: a map in RESP3, and a list of pairs in RESP2."""


class NilArray(list):  # type: ignore[type-arg]
    """A reply that there is no array; always empty.  RESP2 has a nil of its own for it."""


class CommandInfo(NamedTuple):
    """What the command `COMMAND` tells clients about one command.

    `arity` counts the name; -n stands for n or more.  Keys are the arguments from `first_key` to
    `last_key` (-1: the last one), every `key_step`-th; 0 when there are none.

    `flags`: those of Redis beside `write`, `readonly` and `movablekeys`; `finds_keys`: whether the places of
    its keys depend on its arguments; `is_barrier`: whether it concerns all keys.  `categories`: as ACL names
    them, with @.  `since`: the lowest version of the cluster that has it.  `usage`, `summary`, `complexity`:
    for people.  `subcommands`: where the second word says what is done.  `options_from`: the element from
    which on `IStateMachine.check` looks at the arguments; 0 where it may look at all.
    """

    name: str
    arity: int
    writes: bool
    first_key: int
    last_key: int
    key_step: int
    flags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    finds_keys: bool = False
    is_barrier: bool = False
    since: int = 1
    usage: str = ""
    summary: str = ""
    complexity: str = ""
    subcommands: tuple[SubcommandInfo, ...] = ()
    options_from: int = 0
