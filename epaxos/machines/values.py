"""The Python values that a state, an argument or a result may be made of, and their one encoding.

The encoding is JSON, so people and other languages can read it.  What JSON does not know has a tag: bytes are
`{"=b": BASE64}`, a tuple is `{"=t": […]}`, and a dict is `{"=d": [[key, value], …]}` where a key is no str.

Equal values of equal order have equal bytes at every replica.  So there are no sets, because Python orders
them differently in every process, no objects of classes, and no floats that are not finite.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from json import JSONDecoder, JSONEncoder
from typing import Any

__all__ = ["DEPTH_MAX", "INTEGER_BITS_MAX", "NotAValueError", "decode", "encode"]

DEPTH_MAX = 32
"""Containers within containers.  The same everywhere, unlike the depth at which Python's own stack ends."""
INTEGER_BITS_MAX = 256
"""Python turns longer integers into text in quadratic time."""

_BYTES, _TUPLE, _DICT = "=b", "=t", "=d"
_SCALARS = (str, bool, type(None))
_KEYS = (str, int, bytes, float, bool, tuple, type(None))


class NotAValueError(Exception):
    """A value that cannot be kept or sent; the text says which, in the same words at every replica."""


def encode(value: object) -> bytes:
    """The bytes of a value.  Raises NotAValueError."""
    if type(value) is int and -(2**63) <= value < 2**63:
        return b"%d" % value
    try:
        return _to_json(_tagged(value, DEPTH_MAX)).encode()
    except UnicodeEncodeError:
        raise NotAValueError("a str with a lone surrogate") from None
    except ValueError:
        raise NotAValueError("a float that is not finite") from None


def decode(data: bytes) -> Any:
    """The value of bytes.  Raises ValueError when they are not JSON, or have an unknown tag."""
    try:
        return _of_json(data.decode())
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not a value: {type(error).__name__}") from None


def _tagged(value: Any, depth: int) -> Any:
    """`value` as JSON knows it."""
    kind = type(value)
    if kind in _SCALARS or kind is float:
        return value
    if kind is int:
        if value.bit_length() > INTEGER_BITS_MAX:
            raise NotAValueError(f"an int of more than {INTEGER_BITS_MAX} bits")
        return value
    if kind is bytes:
        return {_BYTES: b64encode(value).decode()}
    if depth == 0:
        raise NotAValueError(f"more than {DEPTH_MAX} containers within each other")
    if kind is dict:
        return _tagged_dict(value, depth - 1)
    if kind is list:
        return [_tagged(item, depth - 1) for item in value]
    if kind is tuple:
        return {_TUPLE: [_tagged(item, depth - 1) for item in value]}
    raise NotAValueError(f"a value of the type {kind.__name__}")


def _tagged_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    looks_like_a_tag = len(value) == 1 and next(iter(value)) in (_BYTES, _TUPLE, _DICT)
    if not looks_like_a_tag and set(map(type, value)) <= {str}:
        return {key: _tagged(item, depth) for key, item in value.items()}
    for key in value:
        if type(key) not in _KEYS:
            raise NotAValueError(f"a key of the type {type(key).__name__}")
    return {_DICT: [[_tagged(key, depth), _tagged(item, depth)] for key, item in value.items()]}


def _untagged(found: dict[str, Any]) -> Any:
    """The value of a JSON object."""
    if len(found) != 1:
        return found
    ((key, value),) = found.items()
    if key == _DICT:
        return {name: item for name, item in value}  # noqa: C416  # a TypeError where it is no list of pairs
    if key == _TUPLE:
        return tuple(value)
    return b64decode(value, validate=True) if key == _BYTES else found


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a value")


_to_json = JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False
).encode
_of_json = JSONDecoder(object_hook=_untagged, parse_constant=_refuse_constant).decode
