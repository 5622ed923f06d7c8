"""How a session command is described, and what several session commands use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Union

from twisted.internet.defer import Deferred

from epaxos.interfaces import Command, CommandError, Reply, ReplyMap
from epaxos.interfaces.redis import SYNTAX_ERROR
from epaxos.resp.commands.run import ByReplica, Waits
from epaxos.resp.interfaces import IClient

__all__ = [
    "NAME_ERROR",
    "PATTERNS_BYTES_MAX",
    "REDIS_VERSION",
    "SYNTAX",
    "Answer",
    "Handler",
    "Served",
    "Subcommand",
    "is_plain",
    "map_of",
    "whole_text_of",
]

REDIS_VERSION = "7.2.0"
"""The version of Redis that clients are told; they choose their own commands by it."""
PATTERNS_BYTES_MAX = 1024
"""The most bytes of names and patterns in one `CONFIG GET`, because each is tried on each setting."""
SYNTAX = CommandError(SYNTAX_ERROR)
NAME_ERROR = CommandError("ERR Client names cannot contain spaces, newlines or special characters.")

Answer = Union[Reply, "Deferred[Reply]", ByReplica, Waits]
"""A reply, now or later, what the replica has to run for it, or what the client waits for."""
Handler = Callable[[IClient, Command], Answer]
"""Answers a command of the client, whose arity fits."""


class Subcommand(NamedTuple):
    """`handler`: None when the replica runs it as it runs commands on data, for every client that may send
    those.  `arity`: see CommandInfo; both names count.  `summary`: a line of `HELP`."""

    handler: Handler | None
    arity: int
    summary: str


class Served(NamedTuple):
    """A session command, answered by its handler or by that of a subcommand.  `arity`: see CommandInfo.

    `is_admin`: it is for clients of this host, and for those that have given the password.
    `answers_any_length`: its handler says itself what is wrong with the number of arguments.
    """

    arity: int
    handler: Handler | None = None
    subcommands: Mapping[bytes, Subcommand] = {}
    is_admin: bool = False
    answers_any_length: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether some of its subcommands run other commands, which name keys."""
        return any(subcommand.handler is None for subcommand in self.subcommands.values())


def is_plain(name: bytes) -> bool:
    """Whether `name` holds only printable ASCII, without spaces, as names of clients must."""
    return all(33 <= byte <= 126 for byte in name)


def map_of(fields: Mapping[bytes, Reply]) -> ReplyMap:
    """A reply of fields and values."""
    return ReplyMap(element for field in fields.items() for element in field)


def whole_text_of(data: bytes) -> str:
    """The text that an error shows of an option, whatever its length; up to a NUL byte, as with Redis."""
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")
