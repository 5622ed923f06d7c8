"""Commands of clients, and the replies to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Union

__all__ = ["Command", "CommandError", "CommandInfo", "Outcome", "Reply", "SimpleString", "Unavailable"]

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


Reply = Union[None, int, bytes, SimpleString, CommandError, "list[Any]"]
"""The answer to one command.  A list holds replies."""


class Unavailable(Exception):
    """The commands were not executed in time, or not accepted.  The text is what the client is told.

    `may_have_run`: whether the commands may have been executed, or may still be, later.
    """

    def __init__(self, message: str, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


Outcome = Union["Sequence[Reply]", Unavailable]
"""What becomes of commands that were submitted together: one reply for each, or a failure of all."""


class CommandInfo(NamedTuple):
    """What the command `COMMAND` tells clients about one command.

    `arity` counts the name; -n stands for n or more.  Keys are the arguments from `first_key` to
    `last_key` (-1: the last one), every `key_step`-th; 0 when there are none.
    """

    name: str
    arity: int
    writes: bool
    first_key: int
    last_key: int
    key_step: int
