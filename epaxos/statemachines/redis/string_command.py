"""A command on the string of one key, as the table has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epaxos.interfaces import Command
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Keys

__all__ = ["GROWS", "string_command"]

GROWS: dict[str, Any] = {"flags": ("denyoom", "fast")}
"""The flags of commands that need memory, in constant time."""


def string_command(
    name: bytes, handler: Callable[[Space, Command], Found], arity: int, usage: str, summary: str, **more: Any
) -> CommandSpec:
    """A command on the string of one key, its first argument."""
    writes = more.pop("writes", True)
    return CommandSpec(
        name, handler, arity, Keys.FIRST, writes, usage=usage, summary=summary, categories=("string",), **more
    )
