"""The packed form of a small hash or set: all names and values in one `bytes`, in the order of insertion.

A field is the byte FE, its name, the byte FF, and its value, both escaped (`escapes.py`).  So a search for
FE, a name and FF finds that field and nothing else: whatever is done with a field is a few calls of C code.

Nothing here looks at the limits of the form; see `named.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from epaxos.statemachines.redis.escapes import BEGIN, ESCAPE, MIDDLE, escaped, plain

__all__ = [
    "FIELDS_MAX",
    "ITEM_BYTES_MAX",
    "add",
    "check",
    "count",
    "fits",
    "flat",
    "get",
    "pack",
    "put",
    "remove",
]

FIELDS_MAX = 128
"""The most fields of a packed hash, because a search through 128 fields takes as long as all else that is
done for a command."""
ITEM_BYTES_MAX = 64
"""The most bytes of a field's name, and of its value, in a packed hash."""

_BETWEEN = bytes(range(0xFD + 1))
_FIELD_BYTES_MIN = 2


def fits(items: Iterable[bytes]) -> bool:
    """Whether names and values are short enough."""
    return max(map(len, items)) <= ITEM_BYTES_MAX


def count(data: bytes) -> int:
    """The number of fields."""
    return data.count(BEGIN)


def get(data: bytes, name: bytes) -> bytes | None:
    """The value of a field, None where there is no such field."""
    found = b"\xfe%b\xff" % (name if name.isascii() else escaped(name))
    start = data.find(found)
    if start < 0:
        return None
    start += len(found)
    end = data.find(BEGIN, start)
    value = data[start:] if end < 0 else data[start:end]
    return plain(value) if ESCAPE in value else value


def put(data: bytes, name: bytes, value: bytes) -> tuple[bytes, bool] | None:
    """The hash with another value of an existing field, in its place, or with a new field at the end; and
    whether it is new.  None when the new field is one too many."""
    found = b"\xfe%b\xff" % (name if name.isascii() else escaped(name))
    if not value.isascii():
        value = escaped(value)
    start = data.find(found)
    if start < 0:
        if len(data) >= FIELDS_MAX * _FIELD_BYTES_MIN and data.count(BEGIN) >= FIELDS_MAX:
            return None
        return data + found + value, True
    start += len(found)
    end = data.find(BEGIN, start)
    if end < 0:
        return data[:start] + value, False
    return b"%b%b%b" % (data[:start], value, data[end:]), False


def add(data: bytes, name: bytes) -> bytes | None:
    """As `put` of an empty value, for a name that has no other: `data` itself when it is there."""
    found = b"\xfe%b\xff" % (name if name.isascii() else escaped(name))
    if found in data:
        return data
    if len(data) >= FIELDS_MAX * _FIELD_BYTES_MIN and data.count(BEGIN) >= FIELDS_MAX:
        return None
    return data + found


def remove(data: bytes, name: bytes) -> bytes | None:
    """The hash without this field; None when there is no such field."""
    found = b"\xfe%b\xff" % (name if name.isascii() else escaped(name))
    start = data.find(found)
    if start < 0:
        return None
    end = data.find(BEGIN, start + len(found))
    return data[:start] if end < 0 else data[:start] + data[end:]


def flat(data: bytes) -> list[bytes]:
    """Name, value, name, value …"""
    if not data:
        return []
    items = data.replace(BEGIN, MIDDLE).split(MIDDLE)
    del items[0]
    return list(map(plain, items)) if ESCAPE in data else items


def pack(fields: dict[bytes, bytes]) -> bytes:
    """The packed form of a hash."""
    return b"".join([b"\xfe%b\xff%b" % (escaped(name), escaped(value)) for name, value in fields.items()])


def check(data: bytes) -> None:
    """Raises ValueError for what no function here has made."""
    fields = count(data)
    items = flat(data)
    if (
        data.translate(None, _BETWEEN) != b"\xfe\xff" * fields
        or not 0 < fields <= FIELDS_MAX
        or not fits(items)
        or len(set(items[::2])) != fields
        or pack(dict(zip(items[::2], items[1::2]))) != data
    ):
        raise ValueError(f"a packed hash of {len(data)} bytes that is none")
