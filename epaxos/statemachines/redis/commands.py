"""The data commands of the key-value store: what each touches, and what it does.

A handler takes the data and the command, and returns the reply.  It takes no longer than its command
has elements: a value that is growing stands in the reply as it is, and the store joins it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from enum import Enum
from typing import NamedTuple, Union

from epaxos.interfaces import Command, CommandError, Reply, SimpleString
from epaxos.statemachines.redis.growing import GROWS_FROM_BYTES, Growing, Value, append
from epaxos.statemachines.redis.shards import ShardedDict

__all__ = ["COMMANDS", "OK", "CommandSpec", "Data", "Found", "Keys", "Piecewise", "check"]

OK = SimpleString("OK")
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
VALUE_BYTES_MAX = 512 * 1024 * 1024
SHOWN_BYTES_MAX = 128
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
OVERFLOW = "ERR increment or decrement would overflow"
SYNTAX = "ERR syntax error"


Data = Union[dict[bytes, Value], ShardedDict[Value]]
"""What a command whose first argument is its only key is run on may hold nothing but that key's shard."""
Found = Union[Reply, Growing]
"""A reply before it is handed out; a list may hold growing values, too."""
Piecewise = Generator[None, None, Found]
"""A command that is run in steps, and its reply."""


class Keys(Enum):
    """Which arguments of a command are keys."""

    NONE = (0, 0, 0)
    FIRST = (1, 1, 1)
    ALL = (1, -1, 1)
    PAIRS = (1, -1, 2)

    def of(self, command: Command) -> Sequence[bytes]:
        first, last, step = self.value
        if not first:
            return ()
        return command[1:2] if last == 1 else command[1::step]


class CommandSpec(NamedTuple):
    """`arity` as Redis counts it: the name included; -n stands for n or more.

    `check` looks at the arguments, but for commands of the length `plain`, which need no look.
    `in_pieces(data, command, size)` does what `handler` does, in steps of about `size` elements.
    """

    handler: Callable[[Data, Command], Found]
    arity: int
    keys: Keys
    writes: bool
    barrier: bool = False
    check: Callable[[Command], None] | None = None
    plain: int = 0
    in_pieces: Callable[[Data, Command, int], Piecewise] | None = None

    def fits(self, length: int) -> bool:
        return length == self.arity if self.arity > 0 else length >= -self.arity


def to_integer(text: bytes) -> int:
    """The 64-bit integer that Redis would see, or CommandError."""
    digits = text[1:] if text[:1] == b"-" else text
    if digits.isdigit() and len(digits) < 20 and (digits[:1] != b"0" or text == b"0"):
        number = int(text)
        if INT_MIN <= number <= INT_MAX:
            return number
    raise CommandError(NOT_AN_INTEGER)


def _get(data: Data, command: Command) -> Found:
    return data.get(command[1])


class _SetOptions(NamedTuple):
    only_new: bool
    only_old: bool
    get: bool


def _set_options(command: Command) -> _SetOptions:
    seen = set()
    for option in command[3:]:
        name = option.upper()
        if name not in (b"NX", b"XX", b"GET"):
            raise CommandError(SYNTAX)
        seen.add(name)
    if b"NX" in seen and b"XX" in seen:
        raise CommandError(SYNTAX)
    return _SetOptions(b"NX" in seen, b"XX" in seen, b"GET" in seen)


def _check_set(command: Command) -> None:
    _set_options(command)


def _set(data: Data, command: Command) -> Found:
    key = command[1]
    if len(command) == 3:
        data[key] = command[2]
        return OK
    options = _set_options(command)
    old = data.get(key)
    done = not (options.only_new and old is not None) and not (options.only_old and old is None)
    if done:
        data[key] = command[2]
    if options.get:
        return old
    return OK if done else None


def _setnx(data: Data, command: Command) -> Reply:
    if command[1] in data:
        return 0
    data[command[1]] = command[2]
    return 1


def _getset(data: Data, command: Command) -> Found:
    old = data.get(command[1])
    data[command[1]] = command[2]
    return old


def _getdel(data: Data, command: Command) -> Found:
    return data.pop(command[1], None)


def _del(data: Data, command: Command) -> int:
    return sum(data.pop(key, None) is not None for key in command[1:])


def _exists(data: Data, command: Command) -> int:
    return sum(map(data.__contains__, command[1:]))


def _mget(data: Data, command: Command) -> Found:
    return list(map(data.get, command[1:]))


def _sum_in_pieces(
    handler: Callable[[Data, Command], int], data: Data, command: Command, size: int
) -> Piecewise:
    """Run `handler`, which counts, on one piece of the arguments after the other."""
    count = 0
    for start in range(0, len(command) - 1, size):
        if start:
            yield
        count += handler(data, command[start : start + size + 1])  # whose first element is not looked at
    return count


def _del_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    return _sum_in_pieces(_del, data, command, size)


def _exists_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    return _sum_in_pieces(_exists, data, command, size)


def _mget_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    found: list[Found] = []
    for start in range(1, len(command), size):
        if start > 1:
            yield
        found += map(data.get, command[start : start + size])
    return found


def _check_pairs(command: Command) -> None:
    if len(command) % 2 == 0:
        raise CommandError(f"ERR wrong number of arguments for '{command[0].decode().lower()}' command")


def _mset(data: Data, command: Command) -> Reply:
    data.update(zip(command[1::2], command[2::2]))
    return OK


def _msetnx(data: Data, command: Command) -> Reply:
    if any(map(data.__contains__, command[1::2])):
        return 0
    _mset(data, command)
    return 1


def _mset_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    pairs = max(2, size - size % 2)
    for start in range(1, len(command), pairs):
        if start > 1:
            yield
        end = start + pairs
        data.update(zip(command[start:end:2], command[start + 1 : end : 2]))
    return OK


def _msetnx_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    found = yield from _sum_in_pieces(_exists, data, (command[0], *command[1::2]), size)
    if found:
        return 0
    yield
    yield from _mset_in_pieces(data, command, size)
    return 1


def _append(data: Data, command: Command) -> Reply:
    value = data.get(command[1], b"")
    length = len(value) + len(command[2])
    if length < GROWS_FROM_BYTES:  # what grows is longer
        data[command[1]] = value + command[2]  # type: ignore[operator]
        return length
    if length > VALUE_BYTES_MAX:
        return CommandError("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    data[command[1]] = append(value, command[2])
    return length


def _strlen(data: Data, command: Command) -> Reply:
    return len(data.get(command[1], b""))


def _add(data: Data, key: bytes, increment: int) -> Reply:
    value = data.get(key, b"0")
    if isinstance(value, Growing):  # too long for one
        return CommandError(NOT_AN_INTEGER)
    try:
        number = to_integer(value)
    except CommandError as error:
        return error.with_traceback(None)  # which leads to the whole batch, and so to itself
    number += increment
    if not INT_MIN <= number <= INT_MAX:
        return CommandError(OVERFLOW)
    data[key] = b"%d" % number
    return number


def _check_increment(command: Command) -> None:
    to_integer(command[2])


def _check_decrement(command: Command) -> None:
    if to_integer(command[2]) == INT_MIN:
        raise CommandError("ERR decrement would overflow")


def _dbsize(data: Data, command: Command) -> Reply:
    return len(data)


def _check_flush(command: Command) -> None:
    if len(command) > 2 or (len(command) == 2 and command[1].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(SYNTAX)


def _flush(data: Data, command: Command) -> Reply:
    data.clear()
    return OK


def _type(data: Data, command: Command) -> Reply:
    return SimpleString("string" if command[1] in data else "none")


COMMANDS: dict[bytes, CommandSpec] = {
    b"GET": CommandSpec(_get, 2, Keys.FIRST, False),
    b"SET": CommandSpec(_set, -3, Keys.FIRST, True, check=_check_set, plain=3),
    b"SETNX": CommandSpec(_setnx, 3, Keys.FIRST, True),
    b"GETSET": CommandSpec(_getset, 3, Keys.FIRST, True),
    b"GETDEL": CommandSpec(_getdel, 2, Keys.FIRST, True),
    b"DEL": CommandSpec(_del, -2, Keys.ALL, True, in_pieces=_del_in_pieces),
    b"EXISTS": CommandSpec(_exists, -2, Keys.ALL, False, in_pieces=_exists_in_pieces),
    b"MGET": CommandSpec(_mget, -2, Keys.ALL, False, in_pieces=_mget_in_pieces),
    b"MSET": CommandSpec(_mset, -3, Keys.PAIRS, True, check=_check_pairs, plain=3, in_pieces=_mset_in_pieces),
    b"MSETNX": CommandSpec(
        _msetnx, -3, Keys.PAIRS, True, check=_check_pairs, plain=3, in_pieces=_msetnx_in_pieces
    ),
    b"APPEND": CommandSpec(_append, 3, Keys.FIRST, True),
    b"STRLEN": CommandSpec(_strlen, 2, Keys.FIRST, False),
    b"INCR": CommandSpec(lambda data, command: _add(data, command[1], 1), 2, Keys.FIRST, True),
    b"DECR": CommandSpec(lambda data, command: _add(data, command[1], -1), 2, Keys.FIRST, True),
    b"INCRBY": CommandSpec(
        lambda data, command: _add(data, command[1], int(command[2])),
        3,
        Keys.FIRST,
        True,
        check=_check_increment,
    ),
    b"DECRBY": CommandSpec(
        lambda data, command: _add(data, command[1], -int(command[2])),
        3,
        Keys.FIRST,
        True,
        check=_check_decrement,
    ),
    b"DBSIZE": CommandSpec(_dbsize, 1, Keys.NONE, False, barrier=True),
    b"FLUSHDB": CommandSpec(_flush, -1, Keys.NONE, True, barrier=True, check=_check_flush),
    b"FLUSHALL": CommandSpec(_flush, -1, Keys.NONE, True, barrier=True, check=_check_flush),
    b"TYPE": CommandSpec(_type, 2, Keys.FIRST, False),
}


def _unknown(command: Command) -> str:
    """Redis' words: 128 bytes of the name, and of the arguments with their quotes and spaces."""
    shown, left = "", SHOWN_BYTES_MAX
    for argument in command[1:]:
        if left <= 0:
            break
        text = argument[:left].partition(b"\0")[0]
        shown += f"'{text.decode('utf-8', 'surrogateescape')}' "
        left -= len(text) + 3
    name = command[0][:SHOWN_BYTES_MAX].partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return f"ERR unknown command '{name}', with args beginning with: {shown}"


def check(command: Command) -> None:
    """Raise CommandError, in Redis' words, when `command` cannot be run."""
    spec = COMMANDS.get(command[0].upper())
    if spec is None:
        raise CommandError(_unknown(command))
    if not spec.fits(len(command)):
        raise CommandError(f"ERR wrong number of arguments for '{command[0].decode().lower()}' command")
    if spec.check is not None:
        spec.check(command)
