"""The tables of a machine, as the command that runs sees them.

A table holds one value for each key.  Values are kept encoded: a command gets its own copy of those that it
touches, and when it has succeeded, what differs is encoded and put back.  So a command that fails leaves
nothing behind, no two keys share an object, and what a snapshot has read never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, Generic, Protocol, TypeVar, Union, overload

from epaxos.machines.values import decode, encode

__all__ = [
    "VALUE_BYTES_MAX",
    "Changes",
    "Kept",
    "Key",
    "NotNamedError",
    "Table",
    "View",
    "Work",
    "key_of_place",
]

VALUE_BYTES_MAX = 131_072
"""Bytes of one value.  A command decodes and encodes the values that it touches as a whole, in one step: a
dict of numbers of this size takes 6 ms, and the worst value that was tried 23 ms."""

Key = Union[str, bytes, int]
V = TypeVar("V")
Changes = dict[bytes, Union[bytes, None]]
"""What a command changed: the new bytes at each place; None: nothing is there any more."""

_LETTERS: dict[type, bytes] = {str: b"s", bytes: b"b", int: b"i"}
_SCALARS = frozenset({str, bytes, int, float, bool, type(None)})
_ABSENT: Any = object()


class NotNamedError(Exception):
    """A command touches what it has not named."""


class Kept(Protocol):
    """The state: the bytes at each place."""

    def get(self, place: bytes, /) -> bytes | None:
        """The bytes at a place; None when nothing is there."""

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """All places with their bytes."""


def _text(key: Key) -> bytes:
    """As `Kind.text`."""
    if isinstance(key, bytes):
        return key
    return key.encode("utf-8", "surrogatepass") if isinstance(key, str) else b"%d" % key


def key_of_place(place: bytes) -> bytes:
    """The key, as batches name it, of a place."""
    return place.partition(b":")[2][1:]


class _Touched:
    """A value that a command has looked at or set.  `before`: the object that it got; `kept`: the bytes."""

    __slots__ = ("before", "default", "kept", "may_change", "value")

    def __init__(self, kept: bytes | None, may_change: bool, default: bytes | None) -> None:
        self.kept = kept
        self.may_change = may_change
        self.default = default
        self.before = self.value = _ABSENT if kept is None else decode(kept)

    def now(self) -> bytes | None:
        """The bytes that are to be kept.  Raises NotAValueError."""
        if self.value is _ABSENT:
            return None
        if self.value is self.before and type(self.value) in _SCALARS:
            return self.kept
        data = encode(self.value)
        return None if data == self.default else data


class Work:
    """What one command does to the state `kept`.

    `writes`, `reads`: the keys that it may change, and look at; None: all.
    """

    def __init__(self, kept: Kept, writes: frozenset[Any] | None, reads: frozenset[Any] | None) -> None:
        self._kept = kept
        self._writes = writes
        self._reads = reads
        self._touched: dict[bytes, _Touched] = {}

    def touch(self, table: Table[Any], key: Any, writes: bool) -> _Touched:
        """The value of a key.  Raises NotNamedError."""
        letter = _LETTERS.get(type(key))
        if letter is None:
            raise NotNamedError(f"{table.name}: a key is a str, bytes or an int, not {type(key).__name__}")
        may_change = self._writes is None or (type(key), key) in self._writes
        if not may_change and self._reads is not None and (type(key), key) not in self._reads:
            raise NotNamedError(f"{table.name}: the key {key!r} is not among those that the command names")
        if writes and not may_change:
            raise NotNamedError(f"{table.name}: the command only reads the key {key!r}")
        return self._at(table, b"%b:%b%b" % (table.name.encode(), letter, _text(key)), may_change)

    def _at(self, table: Table[Any], place: bytes, may_change: bool) -> _Touched:
        touched = self._touched.get(place)
        if touched is None:
            kept = self._kept.get(place)
            touched = self._touched[place] = _Touched(kept, may_change, table.encoded_default)
        return touched

    def keys(self, table: Table[Any]) -> list[Key]:
        """All keys of a table, in an order that is the same everywhere.  Raises NotNamedError."""
        if self._writes is not None and self._reads is not None:
            raise NotNamedError(f"{table.name}: only a command that names EVERYTHING sees all keys")
        prefix = b"%b:" % table.name.encode()
        places = {place for place, _ in self._kept.entries() if place.startswith(prefix)}
        for place, touched in self._touched.items():
            if place.startswith(prefix):
                (places.discard if touched.now() is None else places.add)(place)
        return [_key(place[len(prefix) :]) for place in sorted(places)]

    def changes(self) -> Changes:
        """What the command has changed.  Raises NotNamedError, NotAValueError."""
        found: Changes = {}
        for place, touched in self._touched.items():
            now = touched.now()
            if now == touched.kept:
                continue
            name = place.partition(b":")[0].decode()
            if not touched.may_change:
                raise NotNamedError(f"{name}: the command changed a value that it only reads")
            if now is not None and len(now) > VALUE_BYTES_MAX:
                raise NotNamedError(f"{name}: a value of more than {VALUE_BYTES_MAX} bytes")
            found[place] = now
        return found

    @property
    def read_bytes(self) -> int:
        """The bytes that it has decoded."""
        return sum(len(touched.kept or b"") for touched in self._touched.values())


def _key(text: bytes) -> Key:
    letter, rest = text[:1], text[1:]
    if letter == b"s":
        return rest.decode("utf-8", "surrogatepass")
    return int(rest) if letter == b"i" else rest


class HasWork(Protocol):
    """A machine."""

    _work: Work | None


class Table(Generic[V]):
    """A table of a machine: a class attribute, which the machine's commands use like a dict.

    `default()`, which is called once, makes the value of a key that has none, such as `int` or `dict`.  A
    value that equals the default is not kept: the key is then not in the table.
    """

    def __init__(self, default: Callable[[], V] | None = None) -> None:
        self.name = ""
        self.encoded_default = None if default is None else encode(default())

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, machine: None, owner: type) -> Table[V]: ...

    @overload
    def __get__(self, machine: HasWork, owner: type) -> View[V]: ...

    def __get__(self, machine: HasWork | None, owner: type) -> Table[V] | View[V]:
        if machine is None:
            return self
        if machine._work is None:
            raise RuntimeError(f"{owner.__name__}.{self.name}: only a command that runs sees a table")
        return View(self, machine._work)

    def __set__(self, machine: object, value: object) -> None:
        raise AttributeError(f"{self.name} is a table: set its keys instead")


class View(MutableMapping[Any, V]):
    """A table, as the command that runs sees it."""

    __slots__ = ("_table", "_work")

    def __init__(self, table: Table[V], work: Work) -> None:
        self._table = table
        self._work = work

    def __getitem__(self, key: Any) -> V:
        touched = self._work.touch(self._table, key, writes=False)
        if touched.value is _ABSENT:
            if self._table.encoded_default is None:
                raise KeyError(key)
            # Not default(), which may return one object again and again.
            touched.value = decode(self._table.encoded_default)
        value: V = touched.value
        return value

    def __setitem__(self, key: Any, value: V) -> None:
        self._work.touch(self._table, key, writes=True).value = value

    def __delitem__(self, key: Any) -> None:
        touched = self._work.touch(self._table, key, writes=True)
        if touched.now() is None:
            raise KeyError(key)
        touched.value = _ABSENT

    def __contains__(self, key: object) -> bool:
        return self._work.touch(self._table, key, writes=False).now() is not None

    def get(self, key: Any, default: Any = None) -> Any:
        """See dict."""
        return self[key] if key in self else default  # noqa: SIM401  # it is that method

    def pop(self, key: Any, *default: Any) -> Any:
        """See dict."""
        if default and key not in self:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def __iter__(self) -> Iterator[Any]:
        return iter(self._work.keys(self._table))

    def __len__(self) -> int:
        return len(self._work.keys(self._table))

    def __repr__(self) -> str:
        return f"<table {self._table.name}>"
