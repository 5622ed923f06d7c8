"""The types that an argument of a command may have, and their text in a command of the Redis protocol."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple, get_origin

from epaxos.machines.values import INTEGER_BITS_MAX, NotAValueError, decode, encode

__all__ = ["KINDS", "Kind", "kind_of"]

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,99}")
_FLOAT = re.compile(rb"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?")
_YES, _NO = (b"1", b"yes", b"true"), (b"0", b"no", b"false")


class Kind(NamedTuple):
    """A type of arguments.

    `write` makes the text of a value, `read` the value of a text; both raise ValueError.  One value has one
    text, as `write` makes it, so that a key is always the same bytes.  `type`: of a value; None: any.
    """

    article: str
    type: type | None
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    may_be_key: bool = False

    def text(self, value: Any) -> bytes:
        """The text of a value of this kind, an int for a float included.  Raises TypeError, ValueError."""
        if self.type is float and type(value) is int:
            value = float(value)
        if self.type is not None and type(value) is not self.type:
            raise TypeError(f"must be {self.article}, not {type(value).__name__}")
        return self.write(value)


def _read_integer(text: bytes) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("must be an integer")
    return _short_enough(int(text))


def _write_integer(value: int) -> bytes:
    return b"%d" % _short_enough(value)


def _short_enough(value: int) -> int:
    if value.bit_length() > INTEGER_BITS_MAX:
        raise ValueError(f"must be an integer of at most {INTEGER_BITS_MAX} bits")
    return value


def _read_float(text: bytes) -> float:
    value = float(text) if _FLOAT.fullmatch(text) else math.inf
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _write_float(value: float) -> bytes:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return repr(value).encode()


def _read_bool(text: bytes) -> bool:
    word = text.lower()
    if word not in _YES and word not in _NO:
        raise ValueError("must be 1 or 0")
    return word in _YES


def _read_str(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ValueError("must be UTF-8 text") from None


def _write_str(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be text without lone surrogates") from None


def _same(text: bytes) -> bytes:
    return text


def _write_json(value: object) -> bytes:
    try:
        return encode(value)
    except NotAValueError as why:
        raise ValueError(f"cannot hold {why}") from None


def _json_of(type_: type | None, what: str) -> Kind:
    def read(text: bytes) -> Any:
        try:
            value = decode(text)
            encode(value)  # whether it is within bounds
        except (ValueError, NotAValueError):
            raise ValueError(f"must be {what} in JSON") from None
        if type_ is not None and type(value) is not type_:
            raise ValueError(f"must be {what} in JSON")
        return value

    return Kind(what, type_, _write_json, read)


KINDS: dict[object, Kind] = {
    str: Kind("a str", str, _write_str, _read_str, may_be_key=True),
    bytes: Kind("bytes", bytes, _same, _same, may_be_key=True),
    int: Kind("an int", int, _write_integer, _read_integer, may_be_key=True),
    float: Kind("a float", float, _write_float, _read_float),
    bool: Kind("a bool", bool, lambda value: b"1" if value else b"0", _read_bool),
    list: _json_of(list, "a list"),
    dict: _json_of(dict, "a dict"),
    object: _json_of(None, "a value"),
}
"""The kinds by the annotation of a parameter.  Of `list[int]` only the list counts."""


def kind_of(annotation: object) -> Kind | None:
    """The kind that an annotation names; None when it names none."""
    if annotation is Any:
        return KINDS[object]
    found = get_origin(annotation) or annotation
    return KINDS.get(found) if isinstance(found, type) else None
