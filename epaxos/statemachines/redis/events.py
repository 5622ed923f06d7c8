"""Which events of keys commands are told as (`notify-keyspace-events`), by the names that Redis has for them.

An event follows from what a command has changed, so a new type needs a line for each of its commands here,
and nothing in its handlers.  The commands of the table are as they are while nobody may hear of events; else
those of `telling_table` run, which tell behind their handlers what has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from epaxos.interfaces import Command
from epaxos.statemachines.redis.event_classes import EVENT, KEYSPACE, LETTERS
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Piecewise
from epaxos.statemachines.redis.telling import Change, Telling

__all__ = ["RULES", "tell_expired", "telling_table"]


class Event(NamedTuple):
    """The letter of its class, and its name."""

    letter: str
    name: bytes


Rule = Callable[[Command, Space, Change], Iterable[Event]]
"""The events of one key that a command has changed."""

_DEL = Event("g", b"del")
_NEW = Event("n", b"new")
_EXPIRED = Event("x", b"expired")


def _tell_event(telling: Telling, event: Event, database: int, key: bytes) -> None:
    """Tell one event to those who listen to the key, and to those who listen to the event."""
    if telling.events & LETTERS[event.letter]:
        if telling.events & KEYSPACE:
            telling.say(b"__keyspace@%d__:%b" % (database, key), event.name)
        if telling.events & EVENT:
            telling.say(b"__keyevent@%d__:%b" % (database, event.name), key)


def tell_expired(telling: Telling, database: int, key: bytes) -> None:
    """The deadline of a key has ended it."""
    _tell_event(telling, _EXPIRED, database, key)


# -- rules


def _always(event: Event) -> Rule:
    """The event, and `del` behind it where the key is gone: of what takes elements out."""
    return lambda command, space, change: (event,) if change.stays else (event, _DEL)


def _result(event: Event) -> Rule:
    """The event where there is a result, `del` where there is none: of what stores a result."""
    return lambda command, space, change: (event,) if change.stays else (_DEL,)


def _set(command: Command, space: Space, change: Change) -> Iterable[Event]:
    """A deadline is an event of its own, unless it is that of before."""
    yield Event("$", b"set")
    if not change.stays:
        yield _DEL
    elif b"KEEPTTL" not in map(bytes.upper, command[3:]) and space.deadline(change.key) is not None:
        yield Event("g", b"expire")


def _getex(command: Command, space: Space, change: Change) -> Iterable[Event]:
    if not change.stays:
        return (_DEL,)
    return (Event("g", b"persist" if space.deadline(change.key) is None else b"expire"),)


def _moved(gone: bytes, come: bytes) -> Rule:
    """Of a value that goes from one key to another."""
    return lambda command, space, change: (Event("g", come if change.stays else gone),)


def _to_other(event: Event) -> Rule:
    """Of a value that is copied to another key."""
    return lambda command, space, change: (event,) if change.stays else ()


def _ends(side: bytes) -> bytes:
    return b"l" if side.upper() == b"LEFT" else b"r"


def _lmove(command: Command, space: Space, change: Change) -> Iterable[Event]:
    """LMOVE and RPOPLPUSH, and those that wait: taken out of the first key, put into the second one."""
    sides = (command[3], command[4]) if b"LMOVE" in command[0].upper() else (b"RIGHT", b"LEFT")
    if change.key == command[2]:
        yield Event("l", _ends(sides[1]) + b"push")
    if change.key == command[1]:
        yield Event("l", _ends(sides[0]) + b"pop")
        if not change.stays:
            yield _DEL


def _mpop(letter: str, names: Mapping[bytes, bytes]) -> Rule:
    """LMPOP and ZMPOP: the side stands behind the keys."""

    def rule(command: Command, space: Space, change: Change) -> Iterable[Event]:
        count = 2 if command[0].upper().startswith(b"B") else 1  # behind the time to wait
        side = command[count + 1 + int(command[count])].upper()
        event = Event(letter, names[side])
        return (event,) if change.stays else (event, _DEL)

    return rule


def _smove(command: Command, space: Space, change: Change) -> Iterable[Event]:
    if change.key == command[2]:
        return (Event("s", b"sadd"),)
    return (Event("s", b"srem"),) if change.stays else (Event("s", b"srem"), _DEL)


def _zadd(command: Command, space: Space, change: Change) -> Iterable[Event]:
    return (Event("z", b"zincr" if b"INCR" in map(bytes.upper, command[2:6]) else b"zadd"),)


def _xgroup(command: Command, space: Space, change: Change) -> Iterable[Event]:
    return (Event("t", b"xgroup-" + command[1].lower()),)


def _named(letter: str, names: str, rule: Callable[[Event], Rule] = _always) -> dict[bytes, Rule]:
    """Of commands: `NAME:event` where the event is not called like the command."""
    pairs = (word.partition(":") for word in names.split())
    return {name.encode(): rule(Event(letter, (event or name.lower()).encode())) for name, _, event in pairs}


RULES: Mapping[bytes, Rule] = {
    **dict.fromkeys((b"SET", b"SETEX", b"PSETEX"), _set),
    b"GETEX": _getex,
    **_named("$", "SETNX:set GETSET:set MSET:set MSETNX:set APPEND SETRANGE INCRBYFLOAT SETBIT"),
    **_named("$", "INCR:incrby DECR:incrby INCRBY:incrby DECRBY:incrby PFADD PFMERGE:pfadd BITFIELD:setbit"),
    **_named("$", "BITOP:set", _result),
    **_named("g", "DEL:del UNLINK:del GETDEL:del EXPIRE PEXPIRE:expire EXPIREAT:expire", _result),
    **_named("g", "PEXPIREAT:expire PERSIST RESTORE", _result),
    **dict.fromkeys((b"RENAME", b"RENAMENX"), _moved(b"rename_from", b"rename_to")),
    b"MOVE": _moved(b"move_from", b"move_to"),
    **_named("g", "COPY:copy_to", _to_other),
    **_named("h", "HSET HMSET:hset HSETNX:hset HINCRBY HINCRBYFLOAT HDEL"),
    **_named("l", "LPUSH LPUSHX:lpush RPUSH RPUSHX:rpush LPOP RPOP LSET LINSERT LREM LTRIM"),
    **_named("l", "BLPOP:lpop BRPOP:rpop"),
    **_named("l", "SORT:sortstore", _result),
    **dict.fromkeys((b"LMOVE", b"BLMOVE", b"RPOPLPUSH", b"BRPOPLPUSH"), _lmove),
    **dict.fromkeys((b"LMPOP", b"BLMPOP"), _mpop("l", {b"LEFT": b"lpop", b"RIGHT": b"rpop"})),
    **_named("s", "SADD SREM SPOP"),
    b"SMOVE": _smove,
    **_named("s", "SINTERSTORE SUNIONSTORE SDIFFSTORE", _result),
    b"ZADD": _zadd,
    **_named("z", "ZINCRBY:zincr ZREM ZPOPMIN ZPOPMAX BZPOPMIN:zpopmin BZPOPMAX:zpopmax GEOADD:zadd"),
    **_named("z", "ZREMRANGEBYSCORE ZREMRANGEBYRANK ZREMRANGEBYLEX"),
    **_named("z", "ZINTERSTORE ZUNIONSTORE ZDIFFSTORE ZRANGESTORE GEOSEARCHSTORE", _result),
    **_named("z", "GEORADIUS:georadiusstore GEORADIUSBYMEMBER:georadiusstore", _result),
    **dict.fromkeys((b"ZMPOP", b"BZMPOP"), _mpop("z", {b"MIN": b"zpopmin", b"MAX": b"zpopmax"})),
    **_named("t", "XADD XDEL XTRIM XSETID"),
    b"XGROUP": _xgroup,
}
"""The events of commands by their names in upper case, served or not.  What has no line here tells nothing:
a command that runs others leaves it to them, and the end of a key is told where the key is removed."""

_MOVES = frozenset([RULES[b"MOVE"], RULES[b"RENAME"]])


# -- the table of commands that tell


def _tell(rule: Rule, space: Space, command: Command) -> None:
    telling = space.everything.telling
    changes = telling.changes
    is_move = rule in _MOVES and len(changes) > 1
    if is_move:  # Redis tells first of the new key, then where the value came from
        changes.sort(key=lambda change: change.stays)
        _tell_new(telling, changes[-1])
    elif rule is _lmove:  # and here first where the element went to
        changes.sort(key=lambda change: change.key != command[2])
    for change in changes:
        there = space if change.database == space.database else space.in_database(change.database)
        if not is_move:
            _tell_new(telling, change)
        for event in rule(command, there, change):
            _tell_event(telling, event, change.database, change.key)
    changes.clear()


def _tell_new(telling: Telling, change: Change) -> None:
    if change.stays and not change.was:
        _tell_event(telling, _NEW, change.database, change.key)


def _handler(rule: Rule, run: Callable[[Space, Command], Found], space: Space, command: Command) -> Found:
    space.everything.telling.changes.clear()
    found = run(space, command)
    _tell(rule, space, command)
    return found


def _in_pieces(
    rule: Rule,
    run: Callable[[Space, Command, int], Piecewise],
    space: Space,
    command: Command,
    size: int,
) -> Piecewise:
    space.everything.telling.changes.clear()
    found = yield from run(space, command, size)
    _tell(rule, space, command)
    return found


def telling_table(table: Mapping[bytes, CommandSpec]) -> dict[bytes, CommandSpec]:
    """The same commands; those that have events tell them."""
    return {name: _told(spec) for name, spec in table.items()}


def _told(spec: CommandSpec) -> CommandSpec:
    rule = RULES.get(spec.name)
    if rule is None:
        return spec
    in_pieces = None if spec.in_pieces is None else partial(_in_pieces, rule, spec.in_pieces)
    return spec._replace(handler=partial(_handler, rule, spec.handler), in_pieces=in_pieces)
