"""The commands on the bits of strings, as Redis 7 has them: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP.

Bit 0 is the highest one of the first byte.  What looks at many bytes does so CHUNK_BYTES at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from operator import and_, or_, xor
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.paged import PAGE_BYTES, Paged, overwritten
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once
from epaxos.statemachines.redis.strings import TOO_LONG, VALUE_BYTES_MAX, ZEROS_MAX
from epaxos.statemachines.redis.values import String

__all__ = ["COMMANDS", "bit_offset_of", "check_length", "part_of"]

CHUNK_BYTES = PAGE_BYTES
"""The bytes that a step looks at, in 0.1 ms."""
_INVERTED = bytes(range(0xFF, -1, -1))


def part_of(value: String, start: int, end: int) -> bytes:
    """The bytes from `start` up to, not including, `end`."""
    return value.slice(start, end) if isinstance(value, Growing) else value[start:end]


def bit_offset_of(text: bytes, bits: int = 1) -> int:
    """The number of a bit that a client has sent, counted in units of `bits`.  Raises CommandError."""
    number = integer_of(text)
    if number is None or not 0 <= number * bits < 8 * VALUE_BYTES_MAX:
        raise CommandError("ERR bit offset is not an integer or out of range")
    return number * bits


def check_length(length: int, value: String) -> None:
    """Raises CommandError where `value` must not grow to `length` bytes at once."""
    if length > VALUE_BYTES_MAX or length - len(value) > ZEROS_MAX:
        raise CommandError(TOO_LONG)


# -- single bits


def _check_setbit(command: Command) -> None:
    bit_offset_of(command[2])
    if command[3] not in (b"0", b"1"):
        raise CommandError("ERR bit is not an integer or out of range")


def _setbit(space: Space, command: Command) -> Reply:
    key, offset, bit = command[1], int(command[2]), int(command[3])
    found = space.string(key)
    value = b"" if found is None else found
    place, mask = offset >> 3, 0x80 >> (offset & 7)
    check_length(place + 1, value)
    byte = (part_of(value, place, place + 1) or b"\0")[0]
    old = int(byte & mask > 0)
    if place >= len(value) or old != bit:
        byte = byte | mask if bit else byte & ~mask
        space.put(key, overwritten(value, place, bytes([byte])))
    return old


def _check_getbit(command: Command) -> None:
    bit_offset_of(command[2])


def _getbit(space: Space, command: Command) -> Reply:
    value, offset = space.string(command[1]) or b"", int(command[2])
    byte = (part_of(value, offset >> 3, (offset >> 3) + 1) or b"\0")[0]
    return byte >> (7 - offset & 7) & 1


# -- many bits


class _Range(NamedTuple):
    """As a client has sent it: `end` is included, None where there is none; both may count from the end."""

    start: int
    end: int | None
    is_in_bits: bool

    def of(self, value: String) -> tuple[int, int]:
        """The first bit of the value that is meant, and the one behind the last."""
        unit = 1 if self.is_in_bits else 8
        total = len(value) * 8 // unit
        start, end = self.start, total - 1 if self.end is None else self.end
        start = max(0, start + total) if start < 0 else start
        end = min(max(0, end + total) if end < 0 else end, total - 1)
        return (0, 0) if start > end else (start * unit, (end + 1) * unit)


def _range_of(words: Sequence[bytes]) -> _Range:
    """Raises CommandError."""
    if len(words) > 3:
        raise CommandError(SYNTAX_ERROR)
    numbers = list(map(integer_of, words[:2]))
    if None in numbers:
        raise CommandError(NOT_AN_INTEGER)
    unit = words[2].upper() if len(words) > 2 else b"BYTE"
    if unit not in (b"BYTE", b"BIT"):
        raise CommandError(SYNTAX_ERROR)
    start, end = [*numbers, None, None][:2]
    return _Range(start or 0, end, unit == b"BIT")


def _chunks(value: String, start: int, end: int, outside: int) -> Iterator[bytes]:
    """The bytes that have the bits from `start` up to, not including, `end`; others in them are `outside`."""
    first, behind = start >> 3, end + 7 >> 3
    left = first, 0xFF00 >> (start & 7) & 0xFF
    right = behind - 1, 0xFF >> (end - 1 & 7) + 1
    for place in range(first, behind, CHUNK_BYTES):
        chunk = bytearray(part_of(value, place, min(place + CHUNK_BYTES, behind)))
        for number, mask in (left, right):
            if place <= number < place + len(chunk):
                chunk[number - place] |= mask
                chunk[number - place] ^= 0 if outside else mask
        yield bytes(chunk)


def _is_large(keys: slice) -> Callable[[Space, Command], bool]:
    """Whether the values of these keys are long in all."""
    return lambda space, command: sum(len(space.string(key) or b"") for key in command[keys]) > CHUNK_BYTES


def _check_count(command: Command) -> None:
    if len(command) == 3:
        raise CommandError(SYNTAX_ERROR)
    _range_of(command[2:])


def _bitcount_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    value, wanted = space.string(command[1]) or b"", _range_of(command[2:])
    count = 0
    if wanted.end is not None and wanted.end < wanted.start < 0:
        return 0  # as Redis has it, though not for BITPOS
    for chunk in _chunks(value, *wanted.of(value), outside=0):
        count += int.from_bytes(chunk, "little").bit_count()
        yield
    return count


def _check_pos(command: Command) -> None:
    bit = integer_of(command[2])
    if bit is None:
        raise CommandError(NOT_AN_INTEGER)
    if bit not in (0, 1):
        raise CommandError("ERR The bit argument must be 1 or 0.")
    _range_of(command[3:])


def _bitpos_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    bit = int(command[2])
    value = space.string(command[1])
    if value is None:
        return -bit
    wanted = _range_of(command[3:])
    start, end = wanted.of(value)
    if start >= end:
        return -1
    place = start >> 3
    for chunk in _chunks(value, start, end, outside=1 - bit):
        rest = chunk.lstrip(b"\0" if bit else b"\xff")
        if rest:
            byte = rest[0] if bit else rest[0] ^ 0xFF
            return 8 * (place + len(chunk) - len(rest)) + 8 - byte.bit_length()
        place += len(chunk)
        yield
    return -1 if bit or wanted.end is not None else end  # behind the value are zeros


# -- BITOP

_OPERATORS: dict[bytes, Callable[[int, int], int]] = {b"AND": and_, b"OR": or_, b"XOR": xor}


def _check_op(command: Command) -> None:
    name = command[1].upper()
    if name == b"NOT" and len(command) > 4:
        raise CommandError("ERR BITOP NOT must be called with a single source key.")
    if name != b"NOT" and name not in _OPERATORS:
        raise CommandError(SYNTAX_ERROR)


def _bitop_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    values: list[String] = []
    for key in command[3:]:
        values.append(space.string(key) or b"")
        if len(values) % size == 0:
            yield
    length = max(map(len, values))
    pieces: list[bytes | memoryview] = []
    for start in range(0, length, CHUNK_BYTES):
        pieces.append(
            (yield from _combined(command[1].upper(), values, start, min(start + CHUNK_BYTES, length)))
        )
    if length:
        space.set(command[2], Paged(pieces, length) if len(pieces) > 1 else bytes(pieces[0]))
    else:
        space.pop(command[2])
    return length


def _combined(name: bytes, values: Sequence[String], start: int, end: int) -> Generator[None, None, bytes]:
    """These bytes of the result; those behind a value are zeros."""
    if name == b"NOT":
        yield
        return part_of(values[0], start, end).translate(_INVERTED)
    combine = _OPERATORS[name]
    found = int.from_bytes(part_of(values[0], start, end), "little")
    for value in values[1:]:
        found = combine(found, int.from_bytes(part_of(value, start, end), "little"))
        yield
    return found.to_bytes(end - start, "little")


def _command(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    more = {"keys": Keys.FIRST, "writes": False, "flags": (), **more}
    return CommandSpec(name, handler, arity, usage=usage, summary=summary, categories=("bitmap",), **more)


_N: dict[str, Any] = {"complexity": "O(N) with N bytes"}

COMMANDS = (
    _command(
        b"SETBIT", _setbit, 4, "SETBIT key offset value",
        "set a bit, and grow the value with zeros where it ends before; the reply is the bit of before",
        writes=True, check=_check_setbit, flags=("denyoom",), **_N,
    ),
    _command(
        b"GETBIT", _getbit, 3, "GETBIT key offset", "a bit, 0 behind the end of the value",
        check=_check_getbit, flags=("fast",),
    ),
    _command(
        b"BITCOUNT", at_once(_bitcount_in_pieces), -2, "BITCOUNT key [start end [BYTE|BIT]]",
        "the number of bits that are 1, of the whole value or from `start` to `end`, both included",
        check=_check_count, in_pieces=_bitcount_in_pieces, is_large=_is_large(slice(1, 2)), **_N,
    ),
    _command(
        b"BITPOS", at_once(_bitpos_in_pieces), -3, "BITPOS key bit [start [end [BYTE|BIT]]]",
        "the place of the first bit that is 0, or 1; -1 when there is none",
        check=_check_pos, in_pieces=_bitpos_in_pieces, is_large=_is_large(slice(1, 2)), **_N,
    ),
    _command(
        b"BITOP", at_once(_bitop_in_pieces), -4, "BITOP AND|OR|XOR|NOT destkey key [key ...]",
        "set `destkey` to the bits of the values combined; the reply is its length in bytes",
        keys=Keys.OPERANDS, writes=True, check=_check_op, in_pieces=_bitop_in_pieces,
        is_large=_is_large(slice(3, None)), flags=("denyoom",), **_N,
    ),
)  # fmt: skip
