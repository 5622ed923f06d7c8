"""The sequential specification of the commands of the workload, by which histories are judged.

It is as simple as possible, and shares nothing with the state machine of the product.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence

from epaxos.interfaces import Reply

__all__ = ["ERROR", "is_read", "keys_of", "run"]

ERROR = "error"
"""Stands for every CommandError.  The texts of errors are not specified here."""

Store = MutableMapping[bytes, bytes]
Arguments = Sequence[bytes]
_INTEGER_MAX = (1 << 63) - 1


def _number(text: bytes) -> int | None:
    """The integer that `text` is for Redis; None when it is none."""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or (digits[:1] == b"0" and text != b"0") or len(digits) > 19:
        return None
    number = int(text)
    return number if -_INTEGER_MAX - 1 <= number <= _INTEGER_MAX else None


def _get(store: Store, arguments: Arguments) -> Reply | str:
    return store.get(arguments[0])


def _set(store: Store, arguments: Arguments) -> Reply | str:
    key, value, *options = arguments
    if (b"NX" in options and key in store) or (b"XX" in options and key not in store):
        return None
    store[key] = value
    return "OK"


def _setnx(store: Store, arguments: Arguments) -> Reply | str:
    return 1 if _set(store, (*arguments, b"NX")) else 0


def _getset(store: Store, arguments: Arguments) -> Reply | str:
    old = store.get(arguments[0])
    store[arguments[0]] = arguments[1]
    return old


def _getdel(store: Store, arguments: Arguments) -> Reply | str:
    return store.pop(arguments[0], None)


def _del(store: Store, arguments: Arguments) -> Reply | str:
    return sum(store.pop(key, None) is not None for key in arguments)


def _exists(store: Store, arguments: Arguments) -> Reply | str:
    return sum(key in store for key in arguments)


def _mget(store: Store, arguments: Arguments) -> Reply | str:
    return [store.get(key) for key in arguments]


def _mset(store: Store, arguments: Arguments) -> Reply | str:
    store.update(zip(arguments[::2], arguments[1::2]))
    return "OK"


def _msetnx(store: Store, arguments: Arguments) -> Reply | str:
    if any(key in store for key in arguments[::2]):
        return 0
    _mset(store, arguments)
    return 1


def _append(store: Store, arguments: Arguments) -> Reply | str:
    store[arguments[0]] = store.get(arguments[0], b"") + arguments[1]
    return len(store[arguments[0]])


def _strlen(store: Store, arguments: Arguments) -> Reply | str:
    return len(store.get(arguments[0], b""))


def _incrby(store: Store, arguments: Arguments) -> Reply | str:
    old = _number(store.get(arguments[0], b"0"))
    if old is None or abs(old + int(arguments[1])) > _INTEGER_MAX:
        return ERROR
    store[arguments[0]] = b"%d" % (old + int(arguments[1]))
    return old + int(arguments[1])


def _incr(store: Store, arguments: Arguments) -> Reply | str:
    return _incrby(store, (arguments[0], b"1"))


def _dbsize(store: Store, arguments: Arguments) -> Reply | str:
    return len(store)


def _flushdb(store: Store, arguments: Arguments) -> Reply | str:
    store.clear()
    return "OK"


_COMMANDS: dict[bytes, Callable[[Store, Arguments], Reply | str]] = {
    b"GET": _get,
    b"SET": _set,
    b"SETNX": _setnx,
    b"GETSET": _getset,
    b"GETDEL": _getdel,
    b"DEL": _del,
    b"EXISTS": _exists,
    b"MGET": _mget,
    b"MSET": _mset,
    b"MSETNX": _msetnx,
    b"APPEND": _append,
    b"STRLEN": _strlen,
    b"INCR": _incr,
    b"INCRBY": _incrby,
    b"DBSIZE": _dbsize,
    b"FLUSHDB": _flushdb,
}
_READS = frozenset({b"GET", b"EXISTS", b"MGET", b"STRLEN", b"DBSIZE"})
_ALL_KEYS = frozenset({b"DBSIZE", b"FLUSHDB"})
_MANY_KEYS = frozenset({b"DEL", b"EXISTS", b"MGET"})
_PAIRS = frozenset({b"MSET", b"MSETNX"})


def run(store: Store, command: Arguments) -> Reply | str:
    """Run `command` on `store`, and return its reply; ERROR stands for a CommandError."""
    return _COMMANDS[command[0]](store, command[1:])


def is_read(command: Arguments) -> bool:
    """Whether `command` changes nothing."""
    return command[0] in _READS


def keys_of(command: Arguments) -> Arguments | None:
    """The keys on which the reply or the effect of `command` depends; None: all keys."""
    if command[0] in _ALL_KEYS:
        return None
    if command[0] in _MANY_KEYS:
        return command[1:]
    return command[1::2] if command[0] in _PAIRS else command[1:2]
