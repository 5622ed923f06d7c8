"""The settings that all replicas share: a part of the state.

They decide what replicas propose and refuse, and of what they tell, and nothing of how a command runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from epaxos.interfaces.redis import integer_of
from epaxos.statemachines.redis.event_classes import classes_of, text_of_classes

__all__ = ["EVENTS", "SETTINGS", "SharedSettings"]

EVENTS = b"notify-keyspace-events"

_POLICIES = (
    b"volatile-lru", b"volatile-random", b"volatile-ttl", b"allkeys-lru", b"allkeys-random", b"noeviction",
)  # fmt: skip
_LFU = (b"volatile-lfu", b"allkeys-lfu")
_UNITS = {
    b"": 1, b"b": 1, b"k": 1000, b"kb": 1024, b"m": 1000**2, b"mb": 1024**2, b"g": 1000**3, b"gb": 1024**3,
}  # fmt: skip
_SIZE = re.compile(rb"([0-9]{1,19})([a-z]{0,2})")
_HIGHEST = 2**63 - 1


def _bytes_max(text: bytes) -> bytes:
    found = _SIZE.fullmatch(text.lower())
    if found is None or found[2] not in _UNITS or int(found[1]) * _UNITS[found[2]] > _HIGHEST:
        raise ValueError("argument must be a memory value")
    return b"%d" % (int(found[1]) * _UNITS[found[2]])


def _policy(text: bytes) -> bytes:
    policy = text.lower()
    if policy in _LFU:
        raise ValueError("no replica counts how often a key is used: take allkeys-lru or volatile-lru")
    if policy not in _POLICIES:
        raise ValueError(f"argument(s) must be one of the following: {b', '.join(_POLICIES).decode()}")
    return policy


def _samples(text: bytes) -> bytes:
    number = integer_of(text)
    if number is None:
        raise ValueError("argument couldn't be parsed into an integer")
    if not 1 <= number <= 2**31 - 1:
        raise ValueError("argument must be between 1 and 2147483647 inclusive")
    return b"%d" % number


def _events(text: bytes) -> bytes:
    return text_of_classes(classes_of(text))


class _Setting(NamedTuple):
    """`parse(text)`: the value as it is kept.  Raises ValueError."""

    default: bytes
    parse: Callable[[bytes], bytes]


SETTINGS = {
    b"maxmemory": _Setting(b"0", _bytes_max),
    b"maxmemory-policy": _Setting(b"noeviction", _policy),
    b"maxmemory-samples": _Setting(b"5", _samples),
    EVENTS: _Setting(b"", _events),
}
"""By name."""


class SharedSettings:
    """A part of the state (`parts.py`).  `values`: of all settings, by name."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.restore(())

    def entries(self) -> list[tuple[bytes, bytes]]:
        """See Part."""
        return [(name, value) for name, value in self.values.items() if value != SETTINGS[name].default]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """See Part."""
        self.values = {name: setting.default for name, setting in SETTINGS.items()}
        for name, value in entries:
            if name not in SETTINGS:
                raise ValueError(f"a setting {name!r} of a later version")
            self.values[name] = value
