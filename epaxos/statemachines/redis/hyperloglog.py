"""HyperLogLogs as Redis has them: strings with a head and 16 384 registers of 6 bits, which count distinct
elements with an error of 0.81 %.

- *Dense*: the registers, 12 288 bytes, the lowest bits first.
- *Sparse*: runs of equal registers, while that takes at most SPARSE_BYTES_MAX bytes: `00zzzzzz` are up to 64
  zeros, `01zzzzzz zzzzzzzz` are up to 16 384, `1vvvvvrr` are up to four times a value from 1 to 32.

A string comes from a client and may say anything.  All arithmetic is of integers, or of the operations of
floats that IEEE 754 defines to the last bit, so that every replica comes to the same number.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, inf, sqrt

from epaxos.interfaces import CommandError
from epaxos.interfaces.redis import INTEGER_MAX

__all__ = [
    "EMPTY",
    "REGISTERS",
    "added",
    "cached",
    "estimate",
    "is_dense",
    "merged",
    "of_registers",
    "place_of",
    "registers_of",
]

REGISTERS = 1 << 14
SPARSE_BYTES_MAX = 1000
"""Redis has 3 000 by default; a change of a sparse one takes 0.1 ms for this number."""
_HEAD_BYTES = 16
_DENSE_BYTES = _HEAD_BYTES + REGISTERS * 6 // 8
_LARGEST = 32
_HEADS = {False: b"HYLL\1\0\0\0" + b"\0" * 7 + b"\x80", True: b"HYLL\0\0\0\0" + b"\0" * 7 + b"\x80"}
"""By whether it is dense; the highest bit says that the number behind it, which is cached, does not hold."""
EMPTY = b"HYLL\1\0\0\0" + bytes(8) + b"\x7f\xff"
"""Sparse, and all registers are zero; its number of elements is cached."""

_WORD = 2**64 - 1
_M = 0xC6A4A7935BD1E995


def place_of(element: bytes) -> tuple[int, int]:
    """The register of an element, and its value (MurmurHash64A)."""
    length = len(element)
    found = 0xADC83B19 ^ (length * _M & _WORD)
    whole = length & ~7
    for start in range(0, whole, 8):
        word = int.from_bytes(element[start : start + 8], "little") * _M & _WORD
        found = (found ^ (word ^ word >> 47) * _M & _WORD) * _M & _WORD
    if length > whole:
        found = (found ^ int.from_bytes(element[whole:], "little")) * _M & _WORD
    found = (found ^ found >> 47) * _M & _WORD
    found ^= found >> 47
    rest = found >> 14 | 1 << 50
    return found & REGISTERS - 1, (rest & -rest).bit_length()


def is_dense(value: bytes) -> bool:
    """The form.  Raises CommandError for what is no HyperLogLog."""
    form = value[:5]
    if len(value) < _HEAD_BYTES or not (
        form == b"HYLL\1" or (form == b"HYLL\0" and len(value) == _DENSE_BYTES)
    ):
        raise CommandError("WRONGTYPE Key is not a valid HyperLogLog string value.")
    return not value[4]


def cached(value: bytes) -> int | None:
    """The number of elements that the head says, None where it says none."""
    number = int.from_bytes(value[8:16], "little")
    return None if number >> 63 else number


# -- sparse


def _sparse_registers(value: bytes) -> dict[int, int]:
    """The registers that are not zero, in their order.  Raises CommandError."""
    found: dict[int, int] = {}
    index, place = 0, _HEAD_BYTES
    while place < len(value) and index < REGISTERS:
        byte = value[place]
        place += 1
        if byte & 0x80:
            run = (byte & 3) + 1
            found.update(dict.fromkeys(range(index, index + run), (byte >> 2 & 31) + 1))
            index += run
        elif byte & 0x40:
            index += ((byte & 63) << 8 | value[place] if place < len(value) else REGISTERS) + 1
            place += 1
        else:
            index += byte + 1
    if index != REGISTERS or place != len(value):
        raise CommandError("INVALIDOBJ Corrupted HLL object detected")
    return found


def _zeros(count: int) -> bytes:
    if not count:
        return b""
    return bytes([count - 1]) if count <= 64 else (0x4000 | count - 1).to_bytes(2, "big")


def _sparse(registers: dict[int, int]) -> bytes | None:
    """The string for registers in their order; None where the form does not have them."""
    if max(registers.values(), default=0) > _LARGEST or len(registers) > 4 * SPARSE_BYTES_MAX:
        return None
    out = bytearray(_HEADS[False])
    behind = run = last = 0
    for index, value in registers.items():
        if index == behind and value == last and 0 < run < 4:
            out[-1] += 1
            run += 1
        else:
            out += _zeros(index - behind)
            out.append(0x80 | value - 1 << 2)
            run, last = 1, value
        behind = index + 1
    out += _zeros(REGISTERS - behind)
    return bytes(out) if len(out) - _HEAD_BYTES <= SPARSE_BYTES_MAX else None


# -- dense


def _shifted(count: int, mask: int = 0xFF) -> bytes:
    """A table that shifts each byte to the left, or to the right where `count` is negative."""
    return bytes((byte << count if count > 0 else byte >> -count) & mask for byte in range(256))


_LOW6, _RIGHT2, _RIGHT4, _RIGHT6 = _shifted(0, 63), _shifted(-2), _shifted(-4), _shifted(-6)
_LEFT2, _LEFT4, _LEFT6 = _shifted(2), _shifted(4), _shifted(6)


def _either(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") | int.from_bytes(other, "little")).to_bytes(len(one), "little")


def _dense_registers(value: bytes) -> bytearray:
    first, second, third = (value[start::3] for start in range(_HEAD_BYTES, _HEAD_BYTES + 3))
    found = bytearray(REGISTERS)
    found[::4] = first.translate(_LOW6)
    found[1::4] = _either(first.translate(_RIGHT6), second.translate(_LEFT2).translate(_LOW6))
    found[2::4] = _either(second.translate(_RIGHT4), third.translate(_LEFT4).translate(_LOW6))
    found[3::4] = third.translate(_RIGHT2)
    return found


def _dense(registers: bytearray) -> bytes:
    one, two, three, four = (bytes(registers[start::4]) for start in range(4))
    out = bytearray(_DENSE_BYTES)
    out[:_HEAD_BYTES] = _HEADS[True]
    out[_HEAD_BYTES::3] = _either(one, two.translate(_LEFT6))
    out[_HEAD_BYTES + 1 :: 3] = _either(two.translate(_RIGHT2), three.translate(_LEFT4))
    out[_HEAD_BYTES + 2 :: 3] = _either(three.translate(_RIGHT4), four.translate(_LEFT2))
    return bytes(out)


# -- both


def registers_of(value: bytes) -> bytearray:
    """All registers, each in a byte.  Raises CommandError."""
    if is_dense(value):
        return _dense_registers(value)
    found = bytearray(REGISTERS)
    for index, number in _sparse_registers(value).items():
        found[index] = number
    return found


def of_registers(registers: bytearray, dense: bool) -> bytes:
    """The string for these registers; sparse where that is possible, unless it is to be `dense`."""
    if not dense:
        sparse = _sparse({index: number for index, number in enumerate(registers) if number})
        if sparse is not None:
            return sparse
    return _dense(registers)


def added(value: bytes, places: Iterable[tuple[int, int]]) -> bytes | None:
    """The string with registers of at least these values, see `place_of`; None where that is no change.

    Raises CommandError.
    """
    if is_dense(value):
        return _added_to_dense(value, places)
    registers = _sparse_registers(value)
    is_changed = False
    for index, number in places:
        if registers.get(index, 0) < number:
            registers[index] = number
            is_changed = True
    if not is_changed:
        return None
    sparse = _sparse(dict(sorted(registers.items())))
    if sparse is not None:
        return sparse
    whole = bytearray(REGISTERS)
    for index, number in registers.items():
        whole[index] = number
    return _dense(whole)


def _added_to_dense(value: bytes, places: Iterable[tuple[int, int]]) -> bytes | None:
    out = bytearray(value)
    is_changed = False
    for index, number in places:
        start, shift = _HEAD_BYTES + index * 6 // 8, index * 6 & 7
        two = int.from_bytes(out[start : start + 2], "little")
        if two >> shift & 63 < number:
            two = two & ~(63 << shift) | number << shift
            length = len(out[start : start + 2])
            out[start : start + length] = two.to_bytes(length, "little")
            is_changed = True
    if not is_changed:
        return None
    out[15] |= 0x80
    return bytes(out)


_ONES = int.from_bytes(b"\1" * REGISTERS, "little")
_MARKS = _ONES << 7


def merged(one: bytearray, other: bytearray) -> bytearray:
    """The larger of each two registers.  A register leaves the highest bit of its byte free for a mark."""
    a, b = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    is_larger = ((a | _MARKS) - b & _MARKS) >> 7
    mask = (is_larger << 8) - is_larger
    return bytearray((a & mask | b & ~mask).to_bytes(REGISTERS, "little"))


def estimate(registers: bytearray) -> int:
    """The number of distinct elements (Ertl, "New cardinality estimation algorithms for HyperLogLog
    sketches", 2017)."""
    count = [registers.count(number) for number in range(52)]
    size = float(REGISTERS)
    z = size * _tau((size - count[51]) / size)
    for number in range(50, 0, -1):
        z = (z + count[number]) * 0.5
    z += size * _sigma(count[0] / size)
    if not z:
        return INTEGER_MAX  # no elements lead there
    return min(floor(0.721347520444481703680 * size * size / z + 0.5), INTEGER_MAX)


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1.0 - x, inf
    while before != z:
        before = z
        x = sqrt(x)
        y *= 0.5
        z -= (1.0 - x) * (1.0 - x) * y
    return z / 3.0


def _sigma(x: float) -> float:
    if x == 1.0:
        return inf
    y, z, before = 1.0, x, inf
    while before != z:
        before = z
        x *= x
        z += x * y
        y += y
    return z
