"""What clients ask and are told."""

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
    """A command that cannot be run; the text is what the client is told, error code first.

    It is a reply like any other when the state machine finds it at execution (it is then returned,
    not raised): all replicas find the same.
    """


Reply = Union[None, int, bytes, SimpleString, CommandError, "list[Any]"]
"""What a command answers; a list holds replies."""


class Unavailable(Exception):
    """No quorum answered in time.

    `may_have_run` says whether the commands may still be committed and executed later.
    """

    def __init__(self, message: str, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


Outcome = Union["Sequence[Reply]", Unavailable]
"""What becomes of submitted commands: one reply for each, or a failure of all."""


class CommandInfo(NamedTuple):
    """What clients may want to know of a command.

    `arity` counts the name; -n stands for n or more.  Keys are the arguments from `first_key` to
    `last_key` (-1: the last one), every `key_step`-th; 0 when there are none.
    """

    name: str
    arity: int
    writes: bool
    first_key: int
    last_key: int
    key_step: int
