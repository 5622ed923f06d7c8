"""What those who wait for a stream have to know: what XREAD and XREADGROUP ask for, and what `$` stands for.

The state machine answers both at once, as if BLOCK were not there.  A frontend that lets a client wait
replaces each `$` of XREAD by an id first, which one read of each such key tells (`last_id_of` in
`epaxos.interfaces.composites`), and proposes the command again when the key was written.  `>` stays as it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.composites import LAST_ID
from epaxos.interfaces.redis import SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys
from epaxos.statemachines.redis.streams.arguments import number_of
from epaxos.statemachines.redis.streams.ids import text_of_id
from epaxos.statemachines.redis.streams.stream import Stream

__all__ = [
    "COMMANDS",
    "LAST",
    "Reading",
    "reading_of",
]

LAST = b"$"
_REMEMBERED_WORDS, _REMEMBERED_BYTES = 16, 256
"""A consumer asks for the same again and again: commands up to here are parsed once and remembered."""


class Reading(NamedTuple):
    """What XREAD or XREADGROUP asks for.  `group` and `consumer` are empty for XREAD.

    `most`: the most entries of each stream, 0 for all; `block_ms`: how long to wait, 0 for ever, None where
    there is no BLOCK; `needs_no_ack`: NOACK; `ids`: as the client sent them, one for each key.
    """

    is_of_group: bool
    group: bytes
    consumer: bytes
    most: int
    block_ms: int | None
    needs_no_ack: bool
    keys: Command
    ids: Command

    @property
    def is_long(self) -> bool:
        """Whether it may have many entries to answer, or has to look for single ones."""
        is_history = self.is_of_group and any(text != b">" for text in self.ids)
        return is_history or not 0 < self.most * len(self.keys) < 100


def reading_of(command: Command) -> Reading:
    """What XREAD or XREADGROUP asks for.  Raises CommandError."""
    if len(command) <= _REMEMBERED_WORDS and sum(map(len, command)) <= _REMEMBERED_BYTES:
        return _remembered(tuple(command))
    return _parsed(command)


@lru_cache(maxsize=256)
def _remembered(command: tuple[bytes, ...]) -> Reading:
    return _parsed(command)


def _parsed(command: Command) -> Reading:
    is_of_group = command[0].upper() == b"XREADGROUP"
    group: tuple[bytes, bytes] | None = None
    count, block_ms, needs_no_ack = 0, None, False
    place, last = 1, len(command) - 1
    while place <= last:
        name, more = command[place].upper(), last - place
        if name == b"STREAMS" and more:
            break
        if name == b"BLOCK" and more:
            block_ms = _timeout(command[place + 1])
            place += 1
        elif name == b"COUNT" and more:
            count = max(0, number_of(command[place + 1]))
            place += 1
        elif name == b"GROUP" and more >= 2:
            if not is_of_group:
                raise _only_of_group("GROUP")
            group = command[place + 1], command[place + 2]
            place += 2
        elif name == b"NOACK":
            if not is_of_group:
                raise _only_of_group("NOACK")
            needs_no_ack = True
        else:
            raise CommandError(SYNTAX_ERROR)
        place += 1
    else:
        raise CommandError(SYNTAX_ERROR)
    names = command[place + 1 :]
    if len(names) % 2:
        raise CommandError(
            f"ERR Unbalanced '{command[0].decode().lower()}' list of streams: for each stream key an ID or"
            f" '{'>' if is_of_group else '$'}' must be specified."
        )
    if is_of_group and group is None:
        raise CommandError("ERR Missing GROUP option for XREADGROUP")
    half = len(names) // 2
    return Reading(
        is_of_group, *(group or (b"", b"")), count, block_ms, needs_no_ack, names[:half], names[half:]
    )


def _timeout(text: bytes) -> int:
    number = integer_of(text)
    if number is None:
        raise CommandError("ERR timeout is not an integer or out of range")
    if number < 0:
        raise CommandError("ERR timeout is negative")
    return number


def _only_of_group(option: str) -> CommandError:
    return CommandError(f"ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.")


# -- what `$` stands for


def _last_id(space: Space, command: Command) -> Reply:
    stream = space.typed(command[1], Stream)
    return text_of_id(stream.last_id if stream is not None else 0)


COMMANDS = (CommandSpec(LAST_ID, _last_id, 2, Keys.FIRST, False),)
