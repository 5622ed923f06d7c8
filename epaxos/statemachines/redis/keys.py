"""The commands on keys, whatever their values are: DEL, EXISTS, TYPE, RENAME, COPY, MOVE and their like."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import Command, CommandError, Reply, SimpleString
from epaxos.interfaces.redis import INT_MAX, INT_MIN, NOT_AN_INT, NOT_AN_INTEGER, OK, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.names import DATABASES
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched, sum_in_pieces
from epaxos.statemachines.redis.values import NOWHERE, Collection, Value

__all__ = ["COMMANDS", "database_of", "exists", "type_of"]

_NO_SUCH_KEY = "ERR no such key"
_SAME = "ERR source and destination objects are the same"


def _del(space: Space, command: Command) -> int:
    return sum(space.pop(key) is not None for key in command[1:])


def exists(space: Space, command: Command) -> int:
    """How many of the arguments of `command` are keys that exist."""
    return sum(map(space.exists, command[1:]))


def _in_pieces(
    handler: Callable[[Space, Command], int],
) -> Callable[[Space, Command, int], Piecewise]:
    return lambda space, command, size: sum_in_pieces(handler, space, command, size)


def type_of(value: Value) -> str:
    """The type of a value, as TYPE answers it."""
    return value.type_name if isinstance(value, Collection) else "string"


def _type(space: Space, command: Command) -> Reply:
    value = space.get(command[1])
    return SimpleString("none" if value is None else type_of(value))


# -- to another key


def _rename(space: Space, command: Command) -> Reply:
    key, new = command[1:]
    value = space.get(key)
    if value is None:
        raise CommandError(_NO_SUCH_KEY)
    if key != new:
        deadline_ms = space.deadline(key)
        space.pop(key)
        space.set(new, value, deadline_ms)
    return OK


def _renamenx(space: Space, command: Command) -> Reply:
    key, new = command[1:]
    if not space.exists(key):
        raise CommandError(_NO_SUCH_KEY)
    if space.exists(new):
        return 0
    _rename(space, command)
    return 1


# -- to another database


def database_of(text: bytes) -> int:
    """The number of a database.  Raises CommandError."""
    number = integer_of(text)
    if number is None:
        raise CommandError(NOT_AN_INTEGER)
    if not INT_MIN <= number <= INT_MAX:
        raise CommandError(NOT_AN_INT)
    if not 0 <= number < DATABASES:
        raise CommandError("ERR DB index is out of range")
    return number


def _transfer(space: Space, key: bytes, target: Space, new: bytes, replaces: bool) -> bool:
    """Set `new` to the value and the deadline of `key`.  Returns whether it was done."""
    value = space.get(key)
    if value is None or (target.exists(new) and not replaces):
        return False
    if isinstance(value, Collection):
        value.generation = NOWHERE  # two keys have it, or a snapshot does: it changes no more
    target.set(new, value, space.deadline(key))
    return True


def _move(space: Space, command: Command) -> Reply:
    number = database_of(command[2])
    if number == space.database:
        raise CommandError(_SAME)
    if not _transfer(space, command[1], space.in_database(number), command[1], replaces=False):
        return 0
    space.pop(command[1])
    return 1


def _check_move(command: Command) -> None:
    database_of(command[2])


def _copy_options(command: Command) -> tuple[int | None, bool]:
    """The number of the database, None for the present one, and whether to replace.  Raises CommandError."""
    number, replaces = None, False
    options = iter(command[3:])
    for option in options:
        name = option.upper()
        if name == b"REPLACE":
            replaces = True
        elif name == b"DB" and (text := next(options, None)) is not None:
            number = database_of(text)
        else:
            raise CommandError(SYNTAX_ERROR)
    return number, replaces


def _check_copy(command: Command) -> None:
    _copy_options(command)


def _copy(space: Space, command: Command) -> Reply:
    number, replaces = _copy_options(command)
    target = space if number is None else space.in_database(number)
    key, new = command[1:3]
    if key == new and target.database == space.database:
        raise CommandError(_SAME)
    return int(_transfer(space, key, target, new, replaces))


def _find_copy(command: Command) -> Touched:
    """A copy to another database concerns a key there; which one is known only where it runs.

    It writes its source, too, because it removes one that is due.
    """
    number, _ = _copy_options(command)
    return Touched(command[1:3]) if number is None else Touched(barrier=True)


COMMANDS = (
    *(
        CommandSpec(
            name, _del, -2, Keys.ALL, True, since=since, in_pieces=_in_pieces(_del),
            usage=f"{name.decode()} key [key ...]", flags=flags, summary=summary,
            categories=("keyspace",), complexity="O(N) with N keys",
        )
        for name, since, flags, summary in (
            (b"DEL", 1, (), "remove the keys, together; the reply counts those that existed"),
            (b"UNLINK", 2, ("fast",), "as DEL, which frees memory behind its reply, too"),
        )
    ),
    *(
        CommandSpec(
            name, exists, -2, Keys.ALL, False, since=since, in_pieces=_in_pieces(exists),
            usage=f"{name.decode()} key [key ...]", summary=summary,
            categories=("keyspace",), complexity="O(N) with N keys",
        )
        for name, since, summary in (
            (b"EXISTS", 1, "how many of the keys exist; a key that is named twice counts twice"),
            (b"TOUCH", 2, "as EXISTS: when a key was used is no part of the state"),
        )
    ),
    CommandSpec(
        b"TYPE", _type, 2, Keys.FIRST, False, since=1, usage="TYPE key",
        summary="the type of the value, `none` where there is no key", categories=("keyspace",),
    ),
    CommandSpec(
        b"RENAME", _rename, 3, Keys.TWO, True, usage="RENAME key newkey", flags=(), categories=("keyspace",),
        summary="give the value and the deadline of `key` to `newkey`, and remove `key`",
    ),
    CommandSpec(
        b"RENAMENX", _renamenx, 3, Keys.TWO, True, usage="RENAMENX key newkey", categories=("keyspace",),
        summary="as RENAME, when `newkey` does not exist; the reply is 1 or 0",
    ),
    CommandSpec(
        b"COPY", _copy, -3, Keys.TWO, True, usage="COPY source destination [DB number] [REPLACE]",
        check=_check_copy, plain=3, find=_find_copy, flags=("denyoom",), categories=("keyspace",),
        summary="copy the value and the deadline to a key that does not exist, or, with `REPLACE`, to any;"
        " the reply is 1 or 0",
    ),
    CommandSpec(
        b"MOVE", _move, 3, Keys.FIRST, True, barrier=True, usage="MOVE key db", check=_check_move,
        categories=("keyspace",),
        summary="move the key to another database, when it does not exist there; the reply is 1 or 0",
    ),
)  # fmt: skip
