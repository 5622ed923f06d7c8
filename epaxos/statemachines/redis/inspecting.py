"""What a client may ask about how a value is held: OBJECT and MEMORY.

The answers depend on the state alone, so that they are the same at every replica.
"""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.sizes import DEADLINE_BYTES, KEY_BYTES, collection_bytes
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.subcommands import Subcommand, container
from epaxos.statemachines.redis.values import Collection, Value

__all__ = ["COMMANDS"]

EMBEDDED_BYTES = 44
"""Redis holds a string of at most this length in one piece with its head."""


# -- OBJECT


def _encoding(value: Value) -> str:
    if isinstance(value, Collection):
        return value.encoding
    if isinstance(value, Growing):
        return "raw"
    if len(value) <= 20 and integer_of(value) is not None:
        return "int"
    return "embstr" if len(value) <= EMBEDDED_BYTES else "raw"


def _object_encoding(space: Space, command: Command) -> Reply:
    value = space.get(command[2])
    return None if value is None else _encoding(value).encode()


def _of_existing(answer: int) -> Callable[[Space, Command], Reply]:
    return lambda space, command: answer if space.exists(command[2]) else None


def _object_freq(space: Space, command: Command) -> Reply:
    if not space.exists(command[2]):
        return None
    raise CommandError(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when"
        " switching between policies at runtime LRU and LFU data will take some time to adjust."
    )


_OBJECT = {
    b"ENCODING": Subcommand(
        _object_encoding, 3, ("ENCODING <key>", "In which form the value is held, in Redis' words.")
    ),
    b"FREQ": Subcommand(
        _object_freq, 3, ("FREQ <key>", "An error: no replica counts how often a key is used.")
    ),
    b"IDLETIME": Subcommand(
        _of_existing(0), 3, ("IDLETIME <key>", "0: when a key was used is no part of the state.")
    ),
    b"REFCOUNT": Subcommand(_of_existing(1), 3, ("REFCOUNT <key>", "1.")),
}


# -- MEMORY


def _memory_usage(space: Space, command: Command) -> Reply:
    key = command[2]
    value = space.get(key)
    if value is None:
        return None
    held = collection_bytes(value) if isinstance(value, Collection) else len(value)
    return KEY_BYTES + len(key) + held + (DEADLINE_BYTES if space.deadline(key) is not None else 0)


def _check_memory_usage(command: Command) -> None:
    for place in range(3, len(command), 2):
        if command[place].upper() != b"SAMPLES" or place + 1 == len(command):
            raise CommandError(SYNTAX_ERROR)
        count = integer_of(command[place + 1])
        if count is None:
            raise CommandError(NOT_AN_INTEGER)
        if count < 0:
            raise CommandError(SYNTAX_ERROR)


_MEMORY = {
    b"USAGE": Subcommand(
        _memory_usage, -3,
        ("USAGE <key> [SAMPLES <count>]", "About the bytes that a replica needs for it; SAMPLES is ignored."),
        _check_memory_usage,
    ),
}  # fmt: skip

COMMANDS = (
    container(
        b"OBJECT", _OBJECT, "OBJECT ENCODING|FREQ|IDLETIME|REFCOUNT key",
        "how the value is held; `IDLETIME` is 0 and `FREQ` an error, because when a key was used is no part"
        " of the state",
        ("keyspace",),
    ),
    container(
        b"MEMORY", _MEMORY, "MEMORY USAGE key [SAMPLES count]",
        "about the bytes that a replica needs for the key; other subcommands are not served",
    ),
)  # fmt: skip
