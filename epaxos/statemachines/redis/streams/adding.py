"""The commands that add and remove entries: XADD, XTRIM, XDEL, XSETID.

Source: t_stream.c of Redis 7.2.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, SYNTAX_ERROR, wrong_arity
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once
from epaxos.statemachines.redis.streams.arguments import (
    STEP_LOOKUPS,
    Options,
    Trimming,
    ids_of,
    number_of,
    options_of,
)
from epaxos.statemachines.redis.streams.ids import HIGHEST_ID, next_id, parse, text_of_id
from epaxos.statemachines.redis.streams.limits import ELEMENTS_MAX
from epaxos.statemachines.redis.streams.stream import Stream

__all__ = ["COMMANDS"]

_STEP_BLOCKS = 64
_NO_STREAM = "ERR no such key"


# -- XADD


def _add_options(command: Command) -> Options:
    """Raises CommandError."""
    if command[2] == b"*":
        options = Options(None, True, 2, None, True)
    else:
        options = options_of(command, adds=True)
    fields = len(command) - options.place - 1
    if fields < 2 or fields % 2:
        raise wrong_arity(command[0].decode().lower())
    if fields > ELEMENTS_MAX:
        raise CommandError("ERR Elements are too large to be stored")
    if options.number == 0 and options.names_sequence:
        raise CommandError("ERR The ID specified in XADD must be greater than 0-0")
    return options


def _check_add(command: Command) -> None:
    _add_options(command)


def _makes_id(command: Command) -> bool:
    return command[2] == b"*" or options_of(command, adds=True).number is None


def _is_trimming(command: Command) -> bool:
    """Whether options stand before the id, which is all that can take long."""
    return len(command[2]) > 4 and command[2][:1].isalpha()


def _id_of(stream: Stream, options: Options, now_ms: int) -> int:
    """The id of a new entry.  Raises CommandError."""
    last, number = stream.last_id, options.number
    if last == HIGHEST_ID:
        raise CommandError("ERR The stream has exhausted the last possible ID, unable to add more items")
    if number is None:
        return next_id(last, now_ms)
    if not options.names_sequence and number >> 64 == last >> 64:
        number = last + 1 if (last + 1) >> 64 == last >> 64 else last
    if number <= last:
        raise CommandError("ERR The ID specified in XADD is equal or smaller than the target stream top item")
    return number


def _add(space: Space, command: Command, options: Options) -> tuple[Stream, bytes] | None:
    """The stream, with the new entry, and the text of its id; None where there is no stream."""
    key = command[1]
    if not options.creates and space.typed(key, Stream) is None:
        return None
    stream = space.own(key, Stream)
    number = _id_of(stream, options, space.now_ms)
    stream.append(number, tuple(command[options.place + 1 :]))
    space.keep(key, stream)
    return stream, text_of_id(number)


def _xadd(space: Space, command: Command) -> Reply:
    if command[2] == b"*":
        added = _add(space, command, Options(None, True, 2, None, True))
        return added and added[1]
    reply: Any = at_once(_xadd_in_pieces)(space, command)
    return reply  # type: ignore[no-any-return]


def _xadd_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    options = _add_options(command)
    added = _add(space, command, options)
    if added is None:
        return None
    stream, text = added
    if options.trimming is not None:
        yield from _trim(stream, options.trimming)
    return text


# -- XTRIM


def _trim(stream: Stream, trimming: Trimming) -> Generator[None, None, int]:
    """Remove what is to be removed; the number of entries."""
    longest, minimum, exact, limit = trimming
    removed = blocks = 0
    while len(stream):
        count = len(stream) if longest is None else len(stream) - longest
        if count <= 0 or (limit and removed + stream.first_count > limit):
            break
        some = stream.trim_block(count, minimum, exact)
        removed += some
        if not some:
            break
        blocks += 1
        if blocks % _STEP_BLOCKS == 0:
            yield
    return removed


def _check_trim(command: Command) -> None:
    options_of(command, adds=False)


def _xtrim_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    trimming = options_of(command, adds=False).trimming
    if trimming is None or space.typed(command[1], Stream) is None:
        return 0
    stream = space.own(command[1], Stream)
    removed = yield from _trim(stream, trimming)
    if removed:
        space.keep(command[1], stream)
    return removed


# -- XDEL


def _xdel_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    if space.typed(command[1], Stream) is None:
        return 0
    ids = yield from ids_of(command[2:])
    stream = space.own(command[1], Stream)
    removed = 0
    for start in range(0, len(ids), STEP_LOOKUPS):
        if start:
            yield
        for number in ids[start : start + STEP_LOOKUPS]:
            if stream.remove(number):
                removed += 1
                stream.max_deleted = max(stream.max_deleted, number)
    if removed:
        space.keep(command[1], stream)
    return removed


def _names_many(command: Command) -> bool:
    return len(command) > STEP_LOOKUPS


# -- XSETID


class _Position:
    """What XSETID sets.  Raises CommandError."""

    def __init__(self, command: Command) -> None:
        self.last_id = parse(command[2])
        self.added: int | None = None
        self.max_deleted = 0
        words = iter(command[3:])
        for word in words:
            name, value = word.upper(), next(words, None)
            if value is None or name not in (b"ENTRIESADDED", b"MAXDELETEDID"):
                raise CommandError(SYNTAX_ERROR)
            if name == b"ENTRIESADDED":
                self.added = number_of(value)
                if self.added < 0:
                    raise CommandError("ERR entries_added must be positive")
            else:
                self.max_deleted = parse(value)
                if self.last_id < self.max_deleted:
                    raise _smaller("the provided max_deleted_entry_id")


def _smaller(than: str, what: str = "ID") -> CommandError:
    return CommandError(f"ERR The {what} specified in XSETID is smaller than {than}")


def _check_setid(command: Command) -> None:
    _Position(command)


def _xsetid(space: Space, command: Command) -> Reply:
    position = _Position(command)
    stream = space.typed(command[1], Stream)
    if stream is None:
        raise CommandError(_NO_STREAM)
    if position.last_id < stream.max_deleted:
        raise _smaller("current max_deleted_entry_id")
    if len(stream):
        if position.last_id < stream.top_id:
            raise _smaller("the target stream top item")
        if position.added is not None and position.added < len(stream):
            raise _smaller("the target stream length", "entries_added")
    stream = space.own(command[1], Stream)
    stream.last_id = position.last_id
    if position.added is not None:
        stream.added = position.added
    stream.max_deleted = position.max_deleted or stream.max_deleted
    space.keep(command[1], stream)
    return OK


def _write(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, handler, arity, Keys.FIRST, True, usage=usage, summary=summary, categories=("stream",), **more
    )


COMMANDS = (
    _write(
        b"XADD", _xadd, -5,
        "XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] *|id field value"
        " [field value ...]",
        "add an entry to a stream; the reply is its id, which `*` makes of the time", check=_check_add,
        flags=("denyoom", "fast"), in_pieces=_xadd_in_pieces, is_long=_is_trimming, takes_time=_makes_id,
        complexity="O(1), and O(N) with N entries that are removed",
    ),
    _write(
        b"XTRIM", at_once(_xtrim_in_pieces), -4, "XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count]",
        "remove the oldest entries of a stream; the reply counts them", check=_check_trim, flags=(),
        in_pieces=_xtrim_in_pieces, is_long=lambda command: True,
        complexity="O(N) with N entries that are removed",
    ),
    _write(
        b"XDEL", at_once(_xdel_in_pieces), -3, "XDEL key id [id ...]",
        "remove entries of a stream; the reply counts those that existed", in_pieces=_xdel_in_pieces,
        is_long=_names_many, complexity="O(N) with N ids",
    ),
    _write(
        b"XSETID", _xsetid, -3,
        "XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
        "set the last id of a stream, above which all further ids are", check=_check_setid,
        flags=("denyoom", "fast"),
    ),
)  # fmt: skip
