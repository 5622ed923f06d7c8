"""The commands that set and get the string of one key: GET, SET and their variants."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, SYNTAX_ERROR
from epaxos.statemachines.redis.fences import slot_name
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.lifetimes import LIFETIMES, Lifetime, lifetime_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import Found, Touched
from epaxos.statemachines.redis.string_command import GROWS, string_command
from epaxos.statemachines.redis.values import Value

__all__ = ["COMMANDS"]


def _get(space: Space, command: Command) -> Found:
    return space.string(command[1])


class _SetOptions(NamedTuple):
    """`only_new`, `only_old`, `equal`: the key is set only if it does not exist, exists, has this value."""

    only_new: bool = False
    only_old: bool = False
    equal: bytes | None = None
    get: bool = False
    keep: bool = False
    fence: bool = False
    lifetime: Lifetime | None = None

    def allows(self, old: Value | None) -> bool:
        """Whether the key is set where its value is `old`."""
        if self.equal is not None:
            is_string = isinstance(old, (bytes, Growing)) and len(old) == len(self.equal)
            return is_string and bytes(old) == self.equal  # type: ignore[arg-type]
        return not ((self.only_new and old is not None) or (self.only_old and old is None))


_FLAGS = {b"NX": "only_new", b"XX": "only_old", b"GET": "get", b"KEEPTTL": "keep"}
REMEMBERED_BYTES_MAX = 64
_CONDITIONS = (b"NX", b"XX", b"IFEQ")
_ENDS = (*LIFETIMES, b"KEEPTTL")


def _set_options(command: Command) -> _SetOptions:
    """The options of a SET.  Raises CommandError when they are unknown, or exclude each other."""
    options = tuple(command[3:])
    return _remembered(options) if sum(map(len, options)) <= REMEMBERED_BYTES_MAX else _parse(options)


def _parse(options: tuple[bytes, ...]) -> _SetOptions:
    found: dict[str, Any] = {}
    seen: set[bytes] = set()
    lifetime: tuple[bytes, bytes] | None = None
    rest = list(options[::-1])  # the next option is the last element
    while rest:
        option = rest.pop().upper()
        for others in (_CONDITIONS, _ENDS):
            if option in others and not seen.isdisjoint(set(others) - {option}):
                raise CommandError(SYNTAX_ERROR)
        if option in _FLAGS:
            found[_FLAGS[option]] = True
        elif option == b"IFEQ" and rest and option not in seen:
            found["equal"] = rest.pop()
        elif option == b"FENCE" and not rest:
            found["fence"] = True
        elif option in LIFETIMES and rest and option not in seen:
            lifetime = option, rest.pop()
        else:
            raise CommandError(SYNTAX_ERROR)
        seen.add(option)
    if {b"GET", b"FENCE"} <= seen:
        raise CommandError(SYNTAX_ERROR)
    if lifetime is not None:
        found["lifetime"] = lifetime_of((b"SET",), *lifetime)
    return _SetOptions(**found)


_remembered = lru_cache(maxsize=1024)(_parse)  # most programs use the same few options again and again


def _check_set(command: Command) -> None:
    _set_options(command)


def _set_takes_time(command: Command) -> bool:
    if len(command) == 3:
        return False
    options = _set_options(command)
    return options.lifetime is not None or options.fence


def _takes_fence(command: Command) -> bool:
    return len(command) > 3 and command[-1].upper() == b"FENCE" and _set_options(command).fence


def _find_set(command: Command) -> Touched | None:
    """A key and the counter of its fence; None where there is a key alone."""
    return Touched((command[1], slot_name(command[1]))) if _takes_fence(command) else None


def _set(space: Space, command: Command) -> Found:
    key = command[1]
    if len(command) == 3:
        space.set(key, command[2])
        return OK
    options = _set_options(command)
    old = space.string(key) if options.get else space.get(key)
    done = options.allows(old)
    if done:
        if options.keep:
            space.put(key, command[2])
        else:
            lifetime = options.lifetime
            space.set(key, command[2], lifetime and lifetime.deadline(space.now_ms))
        if options.fence:
            return space.everything.fences.next(space.database, key, space.now_ms)
    if options.get:
        return old  # type: ignore[return-value]  # a string
    return OK if done else None


def _setex(space: Space, command: Command) -> Reply:
    space.set(command[1], command[3], _setex_lifetime(command).deadline(space.now_ms))
    return OK


def _setex_lifetime(command: Command) -> Lifetime:
    return lifetime_of(command, b"EX" if command[0].upper() == b"SETEX" else b"PX", command[2])


def _check_setex(command: Command) -> None:
    _setex_lifetime(command)


def _always(command: Command) -> bool:
    return True


def _check_getex(command: Command) -> None:
    """As in Redis, a number that is none is an error only where there is a value."""
    options = [word.upper() for word in command[2:3]]
    is_lifetime = len(command) == 4 and options[0] in LIFETIMES
    if not (is_lifetime or len(command) == 2 or (len(command) == 3 and options == [b"PERSIST"])):
        raise CommandError(SYNTAX_ERROR)


def _getex_takes_time(command: Command) -> bool:
    return len(command) > 3


def _getex(space: Space, command: Command) -> Found:
    value = space.string(command[1])
    if value is None or len(command) == 2:
        return value
    deadline_ms = None
    if len(command) == 4:
        deadline_ms = lifetime_of(command, command[2].upper(), command[3]).deadline(space.now_ms)
    if deadline_ms is not None or space.deadline(command[1]) is not None:
        space.expire(command[1], deadline_ms)
    return value


def _setnx(space: Space, command: Command) -> Reply:
    if space.exists(command[1]):
        return 0
    space.set(command[1], command[2])
    return 1


def _getset(space: Space, command: Command) -> Found:
    old = space.string(command[1])
    space.set(command[1], command[2])
    return old


def _getdel(space: Space, command: Command) -> Found:
    old = space.string(command[1])
    space.pop(command[1])
    return old


COMMANDS = (
    string_command(
        b"GET", _get, 2, "GET key", "the value, nil when there is none", writes=False, since=1
    ),
    string_command(
        b"SET", _set, -3,
        "SET key value [NX|XX|IFEQ value] [GET] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL] [FENCE]",
        "set the value; `NX`: only a new key; `XX`: only one that exists; `IFEQ`: only one with this value;"
        " `GET`: reply with the old value; `FENCE`: reply with a number that only grows for this key",
        check=_check_set, plain=3, find=_find_set, takes_time=_set_takes_time, flags=("denyoom",),
        since=1, options_from=3,
    ),
    string_command(
        b"SETNX", _setnx, 3, "SETNX key value",
        "set the value when the key does not exist; the reply is 1 or 0", since=1,
        **GROWS,
    ),
    string_command(
        b"SETEX", _setex, 4, "SETEX key seconds value", "set the value, for so many seconds",
        check=_check_setex, takes_time=_always, flags=("denyoom",),
    ),
    string_command(
        b"PSETEX", _setex, 4, "PSETEX key milliseconds value", "set the value, for so many milliseconds",
        check=_check_setex, takes_time=_always, flags=("denyoom",),
    ),
    string_command(
        b"GETSET", _getset, 3, "GETSET key value", "the old value, and set the new one",
        since=1, **GROWS,
    ),
    string_command(b"GETDEL", _getdel, 2, "GETDEL key", "the value, and remove the key", since=1),
    string_command(
        b"GETEX", _getex, -2, "GETEX key [EX s|PX ms|EXAT s|PXAT ms|PERSIST]",
        "the value, and give the key another deadline, or none",
        check=_check_getex, plain=2, takes_time=_getex_takes_time, options_from=2,
    ),
)  # fmt: skip
