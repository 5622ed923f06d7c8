"""What a session command may answer instead of a reply: the replica has to run something first, or the client
waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Union

from epaxos.connections.blocking import Wish
from epaxos.interfaces import Command, Reply, Unavailable

__all__ = ["ByReplica", "Waits"]


class ByReplica(NamedTuple):
    """The replica runs `commands`, one or more, in their place among the commands of the connection.

    `finish(outcome)`: the reply that the client gets, made of the reply to the last command, or of the
    failure.  `size_bytes`: about the size of the commands.  `holds`: `finish` changes the session, so what
    the client has sent behind this is looked at afterwards.
    """

    commands: tuple[Command, ...]
    finish: Callable[[Union[Reply, Unavailable]], Reply]
    size_bytes: int = 0
    holds: bool = False


class Waits(NamedTuple):
    """The client waits until there is what it wishes: see `epaxos.connections.blocking`.

    `timeout_s`: 0 for no end.  `size_bytes`: about the memory that its wait takes.  `before`: reads that the
    replica runs first; `settle(wish, replies)` is what the client waits for, then.
    """

    wish: Wish
    timeout_s: float
    size_bytes: int
    before: tuple[Command, ...] = ()
    settle: Callable[[Wish, Sequence[Reply]], Wish] | None = None
