"""Several commands as one, and commands in another database: what MULTI, WATCH and SELECT become.

The names of these commands begin with NUL, so no client can send them.  A transaction is one command of its
batch, and writes every key of its commands.  What depends on a mark also has the name of the mark, the keys
that it watches, and the name of its replica, so that all of it is in one order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.composites import (
    EXEC,
    IN,
    LIVES,
    UNWATCH,
    WATCH,
    Owner,
    Place,
    Queued,
    Transaction,
    transaction,
)
from epaxos.interfaces.redis import CLOCK_SKEW, OK, fits, integer_of
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.names import DATABASES, name_of
from epaxos.statemachines.redis.space import Again, Due, Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Keys, Piecewise, Touched
from epaxos.statemachines.redis.weights import weight_of

__all__ = ["commands_for", "with_commands"]


def with_commands(command: Command, change: Callable[[Command], Command]) -> Command:
    """A command in a database, or a transaction, with each command that it runs changed so."""
    if command[0] == IN:
        return [IN, command[1], *change(command[2:])]
    if command[0] != EXEC:
        return command
    asked = _transaction(command)
    return transaction(
        asked._replace(commands=[(number, change(queued)) for number, queued in asked.commands])
    )


REPLIES_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of the replies of one transaction, at most: a short command may answer with a long value."""
_LEFT_OUT = (
    "ERR the command has run, and its reply is left out: those of the transaction are too long together"
)


def size_of(reply: Found) -> int:
    """About how many bytes a reply takes."""
    if isinstance(reply, list):
        return 64 + sum(map(size_of, reply))
    return 64 + len(reply) if isinstance(reply, (bytes, Growing)) else 64


# -- what they mean


_SMALL = {b"%d" % number: number for number in range(256)}
"""Almost all numbers of a transaction: databases, and lengths of commands."""


def _number(text: bytes, below: int) -> int:
    number = _SMALL.get(text)
    if number is None:
        number = integer_of(text)
    if number is None or not 0 <= number < below:
        raise CommandError(f"the number {text!r} does not fit")
    return number


def _owner(command: Command) -> Owner:
    return Owner(_number(command[1], 2**32), command[2])


def _places(words: Sequence[bytes]) -> list[Place]:
    if len(words) % 2:
        raise CommandError("a database without a key")
    return [(_number(number, DATABASES), key) for number, key in zip(words[::2], words[1::2])]


def _queued(words: Sequence[bytes]) -> Iterator[Queued]:
    start = 0
    while start < len(words):
        database = _number(words[start], DATABASES)
        length = _number(words[start + 1], len(words) - start - 1) if start + 1 < len(words) else 0
        if not length:
            raise CommandError("a command without a name")
        yield database, words[start + 2 : start + 2 + length]
        start += 2 + length


class _Parsed:
    """The transaction that was parsed last, because the same one is asked for again and again: for its names,
    for whether it takes long, and when it runs."""

    command: Command | None = None
    found: Transaction


def _transaction(command: Command) -> Transaction:
    if _Parsed.command is not command:
        _Parsed.command = None
        owner = _owner(command) if command[2] else None
        begin = 4 + 2 * _number(command[3], len(command))
        _Parsed.found = Transaction(owner, _places(command[4:begin]), list(_queued(command[begin:])))
        _Parsed.command = command
    return _Parsed.found


def _forget(command: Command) -> None:
    """It has run: let go of it."""
    if _Parsed.command is command:
        _Parsed.command = None
        _Parsed.found = _NONE


_NONE = Transaction(None, [], [])


def _of_owner(owner: Owner) -> tuple[bytes, bytes]:
    """The names of a mark, and of what ends it when its process has ended."""
    return b"\0mark\0%d\0%b" % owner, b"\0lives\0%d" % owner.replica


def _find_watch(command: Command) -> Touched:
    """It writes its keys, so that what the same connection reads behind it comes after the mark."""
    mark, lives = _of_owner(_owner(command))
    return Touched((mark, *(name_of(*place) for place in _places(command[3:]))), (lives,))


def _find_unwatch(command: Command) -> Touched:
    mark, lives = _of_owner(_owner(command))
    return Touched((mark,), (lives,))


def _find_lives(command: Command) -> Touched:
    return Touched((b"\0lives\0%d" % _number(command[1], 2**32),))


def _watch(space: Space, command: Command) -> Found:
    places = _places(command[3:])
    for number, key in places:
        space.in_database(number).get(key)  # what is due is gone before it is watched, as in Redis 7
    space.everything.watch(_owner(command), places)
    return OK


def _unwatch(space: Space, command: Command) -> Found:
    space.everything.take_mark(_owner(command))
    return OK


def _lives(space: Space, command: Command) -> Found:
    return space.everything.end_lives(_number(command[1], 2**32), command[2])


def _is_clean(space: Space, asked: Transaction) -> bool:
    """End the mark.  Whether no key that it watches has changed, or come to its deadline."""
    if asked.owner is None:
        return True
    is_due = any(space.in_database(number).due_at(key) is not None for number, key in asked.places)
    return space.everything.take_mark(asked.owner, asked.places) and not is_due


def _mark_again(space: Space, asked: Transaction) -> None:
    """The transaction will run again, and its mark was clean."""
    if asked.owner is not None:
        space.everything.watch(asked.owner, asked.places)


def _exec(space: Space, command: Command) -> Found:
    asked = _transaction(command)
    if not _is_clean(space, asked):
        return None
    replies = _Replies()
    for number, queued in asked.commands:
        replies.add(space.in_database(number).call(queued))
    return replies.kept


class _Replies:
    """The replies to the commands of a transaction, which every replica holds until the last one has run."""

    def __init__(self) -> None:
        self.kept: list[Found] = []
        self._bytes = 0

    def add(self, reply: Found) -> None:
        """The next reply.  When there are too many bytes of them, it is left out."""
        self._bytes += size_of(reply)
        self.kept.append(reply if self._bytes <= REPLIES_BYTES_MAX else CommandError(_LEFT_OUT))


def _in(space: Space, command: Command) -> Found:
    return space.in_database(int(command[1])).call(command[2:])


def commands_for(table: Callable[[], dict[bytes, CommandSpec]]) -> tuple[CommandSpec, ...]:
    """The commands that run those of `table()`."""

    def spec_of(command: Command) -> CommandSpec:
        spec = table().get(command[0].upper())
        if spec is None or not fits(spec.arity, len(command)):
            raise CommandError(f"{command[0]!r} of {len(command)} arguments inside of another command")
        if spec.check is not None and len(command) != spec.plain:
            spec.check(command)
        return spec

    def touched(database: int, command: Command) -> Touched:
        spec = spec_of(command)
        writes, reads, barrier = spec.touched(command)
        written = [name_of(database, key) for key in writes]
        read = [name_of(database, key) for key in reads]
        if database and spec.find is not None and spec.find(command) is not None:
            # It may have named another database: then it waits for both.
            written += writes
            read += reads
        return Touched(written, read, barrier)

    def is_long(command: Command) -> bool:
        spec = table().get(command[0].upper())
        return spec is not None and spec.is_long is not None and spec.is_long(command)

    def is_exec_long(command: Command) -> bool:
        try:
            return any(is_long(queued) for _, queued in _transaction(command).commands)
        except CommandError:
            return False  # what no connection makes: `check` says so

    def is_large(space: Space, command: Command) -> bool:
        spec = table().get(command[0].upper())
        if spec is None or (spec.is_long is None and spec.is_large is None):
            return False
        return fits(spec.arity, len(command)) and spec.takes_long(space, command)

    def is_in_large(space: Space, command: Command) -> bool:
        return is_large(space.in_database(_number(command[1], DATABASES)), command[2:])

    def is_exec_large(space: Space, command: Command) -> bool:
        queued = _transaction(command).commands
        return any(is_large(space.in_database(number), one) for number, one in queued)

    def check_in(command: Command) -> None:
        _number(command[1], DATABASES)
        spec_of(command[2:])

    def find_in(command: Command) -> Touched:
        writes, reads, barrier = touched(int(command[1]), command[2:])
        return Touched((*writes, *reads), (), barrier) if len(reads) > 1 else Touched(writes, reads, barrier)

    def check_exec(command: Command) -> None:
        for _, queued in _transaction(command).commands:
            spec_of(queued)

    def find_exec(command: Command) -> Touched:
        asked = _transaction(command)
        writes: list[bytes] = []
        reads = [name_of(*place) for place in asked.places]
        if asked.owner is not None:
            mark, lives = _of_owner(asked.owner)
            writes.append(mark)
            reads.append(lives)
        is_barrier = False
        for database, queued in asked.commands:
            written, read, barrier = touched(database, queued)
            writes += (*written, *read)
            is_barrier = is_barrier or barrier
        return Touched(writes, reads, is_barrier)

    def pieces_of(space: Space, command: Command, size: int) -> Piecewise:
        spec_of(command)
        spec: CommandSpec = space.everything.table[command[0].upper()]
        if spec.in_pieces is None or (len(command) <= size and not is_large(space, command)):
            return space.call(command)
        if spec.lacks_time(space, command):
            return CommandError(CLOCK_SKEW)
        try:
            return (yield from spec.in_pieces(space, command, size))
        except CommandError as error:
            return error.with_traceback(None)

    def run_queued(space: Space, asked: Transaction, size: int) -> Piecewise:
        replies = _Replies()
        elements = 0
        for number, queued in asked.commands:
            if elements > size:
                yield
                elements = 0
            elements += weight_of(queued[0].upper(), len(queued))
            replies.add((yield from pieces_of(space.in_database(number), queued, size)))
        return replies.kept

    def run_with_scripts(space: Space, asked: Transaction, size: int) -> Piecewise:
        """As `run_queued`: a script in it may have to run again, and all of the transaction with it."""
        everything, place = space.everything, space.moment.place()
        savepoint = everything.savepoint()
        try:
            return (yield from run_queued(space, asked, size))
        except (Again, Due):
            everything.back_to(savepoint)
            space.moment.go_back(place)
            _mark_again(space, asked)
            raise
        finally:
            everything.release(savepoint)

    def exec_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        asked = _transaction(command)
        run = run_with_scripts if is_exec_long(command) else run_queued
        _forget(command)
        if not _is_clean(space, asked):
            return None
        return (yield from run(space, asked, size))

    def in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        return (yield from pieces_of(space.in_database(int(command[1])), command[2:], size))

    return (
        CommandSpec(
            EXEC, _exec, -4, Keys.NONE, True, check=check_exec, find=find_exec, in_pieces=exec_in_pieces,
            takes_seed=True, is_long=is_exec_long, is_large=is_exec_large,
        ),
        CommandSpec(
            IN, _in, -3, Keys.NONE, True, check=check_in, find=find_in, in_pieces=in_pieces, takes_seed=True,
            is_long=lambda command: len(command) > 2 and is_long(command[2:]), is_large=is_in_large,
        ),
        CommandSpec(WATCH, _watch, -5, Keys.NONE, True, find=_find_watch),
        CommandSpec(UNWATCH, _unwatch, 3, Keys.NONE, True, find=_find_unwatch),
        CommandSpec(LIVES, _lives, 3, Keys.NONE, True, find=_find_lives),
    )  # fmt: skip
