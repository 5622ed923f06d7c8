"""The sequential specification of transactions, marks, hashes and scripts, by which histories are judged.

It is as simple as possible, and shares nothing with the state machine of the product.  Each key has a number
that grows with each write.  WATCH notes the numbers of its keys, and EXEC compares them: so a write touches
its own key alone, whoever watches.  A script is known by its text, up to a comment that makes it another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import NamedTuple, Union

from epaxos.interfaces import Reply
from epaxos.verify.judges.model import ERROR

__all__ = ["SCRIPTS", "Script", "is_read", "keys_of", "run"]

Store = MutableMapping[bytes, bytes]
Words = Sequence[bytes]
Fields = dict[bytes, bytes]
Value = Union[bytes, Fields, None]
Found = Union[Reply, str]

_EXEC, _WATCH, _UNWATCH, _LIVES = b"\0EXEC", b"\0WATCH", b"\0UNWATCH", b"\0LIVES"


class _Wrong(Exception):
    """The command is answered with an error."""


# -- keys: `NUMBER sVALUE`, `NUMBER hFIELD=VALUE,…`, or `NUMBER ` where nothing is


def _number(store: Store, key: bytes) -> int:
    """How often the key was written."""
    return int(store.get(key, b"0 ").split(b" ")[0])


def _get(store: Store, key: bytes) -> Value:
    held = store.get(key, b"0 ").partition(b" ")[2]
    if held[:1] == b"h":
        return dict(field.split(b"=") for field in held[1:].split(b","))
    return held[1:] if held else None


def _text(store: Store, key: bytes) -> bytes | None:
    found = _get(store, key)
    if isinstance(found, dict):
        raise _Wrong
    return found


def _fields(store: Store, key: bytes) -> Fields:
    found = _get(store, key)
    if isinstance(found, bytes):
        raise _Wrong
    return found or {}


def _put(store: Store, key: bytes, value: Value) -> None:
    if isinstance(value, dict):
        held = b"h" + b",".join([b"=".join(pair) for pair in value.items()]) if value else b""
    else:
        held = b"" if value is None else b"s" + value
    store[key] = b"%d %b" % (_number(store, key) + 1, held)


# -- plain commands


def _set(store: Store, words: Words) -> Found:
    _put(store, words[1], words[2])
    return "OK"


def _del(store: Store, words: Words) -> Found:
    if _get(store, words[1]) is None:
        return 0
    _put(store, words[1], None)
    return 1


def _incr(store: Store, words: Words) -> Found:
    held = _text(store, words[1])
    if held is not None and not held.isdigit():
        raise _Wrong
    number = int(held or b"0") + 1
    _put(store, words[1], b"%d" % number)
    return number


def _hset(store: Store, words: Words) -> Found:
    fields = _fields(store, words[1])
    added = words[2] not in fields
    _put(store, words[1], {**fields, words[2]: words[3]})
    return int(added)


def _hdel(store: Store, words: Words) -> Found:
    fields = _fields(store, words[1])
    if fields.pop(words[2], None) is None:
        return 0
    _put(store, words[1], fields)
    return 1


_PLAIN: dict[bytes, Callable[[Store, Words], Found]] = {
    b"GET": lambda store, words: _text(store, words[1]),
    b"SET": _set,
    b"DEL": _del,
    b"INCR": _incr,
    b"HSET": _hset,
    b"HDEL": _hdel,
    b"HGET": lambda store, words: _fields(store, words[1]).get(words[2]),
    b"HGETALL": lambda store, words: [part for pair in _fields(store, words[1]).items() for part in pair],
}
_READS = (b"GET", b"HGET", b"HGETALL")


# -- scripts


class Script(NamedTuple):
    """`text`: the keys that it declares come first, then its arguments; `declared`: how many keys these are.

    `meaning`: the same in Python; `undeclared`: which arguments are keys, too.
    """

    text: bytes
    declared: int
    meaning: Callable[[Store, Words, Words], Found]
    undeclared: tuple[int, ...] = ()


def _copied(store: Store, keys: Words, arguments: Words) -> Found:
    value = _text(store, keys[0])
    _put(store, keys[1], arguments[0])
    return value


def _counted(store: Store, keys: Words, arguments: Words) -> Found:
    _incr(store, (b"INCR", keys[0]))
    _put(store, arguments[0], arguments[1])
    return _text(store, keys[0])


def _failed(store: Store, keys: Words, arguments: Words) -> Found:
    raise _Wrong


def _filled(store: Store, keys: Words, arguments: Words) -> Found:
    _hset(store, (b"HSET", keys[0], b"s", arguments[0]))
    return len(_fields(store, keys[0]))


def _looked(store: Store, keys: Words, arguments: Words) -> Found:
    _put(store, keys[0], arguments[1])
    return _text(store, arguments[0])


SCRIPTS = (
    Script(
        b"local value = redis.call('GET', KEYS[1]) redis.call('SET', KEYS[2], ARGV[1]) return value ",
        2, _copied,
    ),
    Script(
        b"redis.call('INCR', KEYS[1]) redis.call('SET', ARGV[1], ARGV[2]) return redis.call('GET', KEYS[1]) ",
        1, _counted, (0,),
    ),
    Script(
        b"redis.call('SET', KEYS[1], ARGV[1]) return redis.call('HSET', KEYS[1], 'f', 'v') ",
        1, _failed,
    ),
    Script(
        b"redis.call('HSET', KEYS[1], 's', ARGV[1]) return redis.call('HLEN', KEYS[1]) ",
        1, _filled,
    ),
    Script(
        b"redis.call('SET', KEYS[1], ARGV[2]) return redis.call('GET', ARGV[1]) ",
        1, _looked, (0,),
    ),
)  # fmt: skip
_BY_TEXT = {script.text: script for script in SCRIPTS}


def _script_of(words: Words) -> tuple[Script, Words, Words]:
    """The script of an EVAL, its keys, and its arguments."""
    script = _BY_TEXT[words[1].partition(b"--")[0]]
    begin = 3 + script.declared
    return script, words[3:begin], words[begin:]


def _eval(store: Store, words: Words) -> Found:
    script, keys, arguments = _script_of(words)
    tried = dict(store)
    reply = script.meaning(tried, keys, arguments)  # who fails has no effect
    store.update(tried)
    return reply


# -- transactions and marks: under the name of the mark stand the number of ends of lives before it, then each
# key with its number; under the name of a replica the lives that have ended the marks of others, in turn


def _lives_of(replica: bytes) -> bytes:
    return b"\0lives" + replica


def _mark_of(words: Words) -> bytes:
    return b"\0mark%b %b" % (words[1], words[2])


def _places(words: Words) -> Words:
    return words[1::2]


def _ended(store: Store, words: Words) -> list[bytes]:
    return store.get(_lives_of(words[1]), b"").split()


def _watch(store: Store, words: Words) -> Found:
    mark = _mark_of(words)
    before = store.get(mark)
    if before is None or _has_ended(store, words, before):
        before = b"%d" % len(_ended(store, words))
    noted = {text.partition(b"=")[0] for text in before.split()}
    new = [b"%b=%d" % (key, _number(store, key)) for key in _places(words[3:]) if key not in noted]
    store[mark] = b" ".join([before, *new])
    return "OK"


def _has_ended(store: Store, words: Words, mark: bytes) -> bool:
    """Whether another life of the replica has ended the mark."""
    own = words[2].partition(b":")[0]
    return any(life != own for life in _ended(store, words)[int(mark.split()[0]) :])


def _unwatch(store: Store, words: Words) -> Found:
    store.pop(_mark_of(words), None)
    return "OK"


def _end_lives(store: Store, words: Words) -> Found:
    name = _lives_of(words[1])
    store[name] = b"%b %b" % (store.get(name, b""), words[2])
    return None


def _queued(words: Words) -> Iterator[Words]:
    place = 0
    while place < len(words):
        length = int(words[place + 1])
        yield words[place + 2 : place + 2 + length]
        place += 2 + length


def _split(words: Words) -> tuple[Words, list[Words]]:
    """The keys that an EXEC watches, and its commands."""
    begin = 4 + 2 * int(words[3])
    return _places(words[4:begin]), list(_queued(words[begin:]))


def _exec(store: Store, words: Words) -> Found:
    places, commands = _split(words)
    if words[2]:
        mark = store.pop(_mark_of(words), None)
        if mark is None or _has_ended(store, words, mark):
            return None
        noted = dict(text.split(b"=") for text in mark.split()[1:])
        if any(key not in noted or _number(store, key) != int(noted[key]) for key in places):
            return None
    return [run(store, command) for command in commands]


_ALL = {
    **_PLAIN, b"EVAL": _eval, _EXEC: _exec, _WATCH: _watch, _UNWATCH: _unwatch, _LIVES: _end_lives,
}  # fmt: skip


def run(store: Store, command: Words) -> Found:
    """Run `command` on `store`, and return its reply; ERROR stands for a CommandError."""
    try:
        return _ALL[command[0]](store, command)
    except _Wrong:
        return ERROR


def is_read(command: Words) -> bool:
    """Whether `command` changes nothing."""
    return command[0] in _READS


def keys_of(command: Words) -> Words:
    """What the reply or the effect of `command` depends on: keys, marks, and the lives of a replica."""
    name = command[0]
    if name == b"EVAL":
        script, keys, arguments = _script_of(command)
        return (*keys, *(arguments[number] for number in script.undeclared))
    if name == _LIVES:
        return (_lives_of(command[1]),)
    if name in (_WATCH, _UNWATCH):
        return (_mark_of(command), _lives_of(command[1]), *_places(command[3:]))
    if name == _EXEC:
        places, commands = _split(command)
        mark = (_mark_of(command), _lives_of(command[1])) if command[2] else ()
        return (*mark, *places, *(key for one in commands for key in keys_of(one)))
    return command[1:2]
