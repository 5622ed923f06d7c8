"""Judges that no table of a replica grows without bound.

The judge knows no table by name, and counts all that can be reached from a node.  So it also notices a
table that somebody adds later and forgets to empty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from twisted.logger import Logger

__all__ = ["allowed", "held"]

SLACK = 16
PER_REPLICA = 4
"""Entries for each replica: when it was heard last, how fast it answers, what it was asked lately."""
PER_KEY = 2
"""Entries for each key: in the state machine, and in a batch that the next checkpoint writes."""
PER_KEY_AND_REPLICA = 4
"""While an instance is unfinished, the index may hold every key for each replica, read and written."""
PER_INSTANCE = 60
PER_INSTANCE_AND_REPLICA = 8
"""An unfinished instance is in some twenty tables; in a few of them it has an entry for each replica."""

_TABLES = (dict, list, set, frozenset, deque)
_SIMPLE = (int, str, bytes, float, type(None), type, FunctionType, BuiltinFunctionType, ModuleType)
_PLAIN = frozenset((int, str, bytes, float, type(None)))
_slots: dict[type, list[str]] = {}
_ELSEWHERE = (Random, Logger)


def allowed(empty: int, n: int, keys: int, instances: int) -> int:
    """How many entries a replica of a cluster of n may hold.

    `empty`: how many it held when it was new; `keys`: how many keys clients have named; `instances`: how many
    instances and submissions are unfinished."""
    most = empty + SLACK + PER_REPLICA * n + PER_KEY * keys
    if instances:
        most += PER_KEY_AND_REPLICA * n * keys + (PER_INSTANCE + PER_INSTANCE_AND_REPLICA * n) * instances
    return most


def held(root: object, outside: tuple[type, ...]) -> int:
    """How many entries all tables have that can be reached from `root` without passing an instance of one of
    the classes `outside`."""
    passed = _SIMPLE + _ELSEWHERE + outside
    seen: dict[int, object] = {}
    entries = 0
    stack: list[Any] = [root]
    while stack:
        thing = stack.pop()
        if type(thing) in _PLAIN or id(thing) in seen or isinstance(thing, passed):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, _TABLES):
            entries += len(thing)
            stack.extend(thing)
            if isinstance(thing, dict):
                stack.extend(thing.values())
        elif isinstance(thing, tuple):
            stack.extend(thing)
        elif isinstance(thing, MethodType):
            stack.append(thing.__self__)
        else:
            stack.extend(_attributes(thing))
    return entries


def _attributes(thing: object) -> Iterator[object]:
    yield from getattr(thing, "__dict__", {}).values()
    kind = type(thing)
    if kind not in _slots:
        _slots[kind] = [
            name
            for slots in (base.__dict__.get("__slots__", ()) for base in kind.__mro__)
            for name in ((slots,) if isinstance(slots, str) else slots)
        ]
    for name in _slots[kind]:
        yield getattr(thing, name, None)
