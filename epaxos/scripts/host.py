"""The functions of Python that the libraries of scripts are made with."""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import sha1
from typing import Any

from epaxos.scripts.bytecode import without_tail_calls

__all__ = ["FUNCTIONS"]

WORD, SIGN = 0xFFFFFFFF, 0x80000000


def _word(number: Any) -> int:
    """The low 32 bits of a number, rounded to the nearest integer."""
    exact = float(number)
    if exact != exact or exact in (float("inf"), float("-inf")):
        return 0
    return round(exact) & WORD


def _signed(word: int) -> int:
    return (word & WORD) - ((word & SIGN) << 1)


def _band(*numbers: Any) -> int:
    word = WORD
    for number in numbers:
        word &= _word(number)
    return _signed(word)


def _bor(*numbers: Any) -> int:
    word = 0
    for number in numbers:
        word |= _word(number)
    return _signed(word)


def _bxor(*numbers: Any) -> int:
    word = 0
    for number in numbers:
        word ^= _word(number)
    return _signed(word)


def _bswap(number: Any, *_: Any) -> int:
    return _signed(int.from_bytes(_word(number).to_bytes(4, "little"), "big"))


def _rol(number: Any, by: Any, *_: Any) -> int:
    word, count = _word(number), _word(by) & 31
    return _signed(word << count | word >> (32 - count))


def _ror(number: Any, by: Any, *_: Any) -> int:
    return _rol(number, 32 - (_word(by) & 31))


def _tohex(number: Any, digits: Any) -> bytes:
    count = _signed(_word(digits))
    text = b"%08x" % _word(number)
    if count < 0:
        text, count = text.upper(), -count
    return text[8 - count :] if count < 8 else text


def _pack_float(number: Any, size: int) -> bytes:
    """Little-endian.  A number that is too large for four bytes is infinite there."""
    number = float(number)
    try:
        return struct.pack("<f" if size == 4 else "<d", number)
    except OverflowError:
        return struct.pack("<f", float("inf") if number > 0 else float("-inf"))


def _msgpack_float(number: Any) -> bytes:
    short = _pack_float(number, 4)
    if struct.unpack("<f", short)[0] == number:
        return b"\xca" + short[::-1]
    return b"\xcb" + _pack_float(number, 8)[::-1]


def _float_of(text: bytes) -> float:
    """Of four or eight bytes, big-endian."""
    return float(struct.unpack(">f" if len(text) == 4 else ">d", text)[0])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "bit_band": _band,
    "bit_bor": _bor,
    "bit_bxor": _bxor,
    "bit_bnot": lambda number, *_: _signed(~_word(number)),
    "bit_tobit": lambda number, *_: _signed(_word(number)),
    "bit_bswap": _bswap,
    "bit_lshift": lambda number, by, *_: _signed(_word(number) << (_word(by) & 31)),
    "bit_rshift": lambda number, by, *_: _signed(_word(number) >> (_word(by) & 31)),
    "bit_arshift": lambda number, by, *_: _signed(_signed(_word(number)) >> (_word(by) & 31)),
    "bit_rol": _rol,
    "bit_ror": _ror,
    "bit_tohex": _tohex,
    "pack_float": _pack_float,
    "msgpack_float": _msgpack_float,
    "float_of": _float_of,
    "sha1hex": lambda text: sha1(text).hexdigest().encode(),
    "without_tail_calls": without_tail_calls,
}
"""By their names in `host` of lua/sandbox.lua.  Their arguments are checked in Lua; what they raise for
others ends the run."""
