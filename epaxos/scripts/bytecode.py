"""Takes the tail calls out of compiled Lua 5.1.

A tail call removes the frame of its caller, and with it the line that an error has to name: in Redis the
functions that scripts call are written in C, and C functions leave that frame alone.  A tail call and the
RETURN behind it do the same as a call with all results and that RETURN, so one opcode is exchanged.
"""

from __future__ import annotations

from struct import pack_into, unpack_from

__all__ = ["without_tail_calls"]

HEADER_BYTES = 12  # the signature, the version, and the sizes of the types: those of LP64, little-endian
OP_CALL, OP_TAILCALL, OP_SETLIST, OPCODE_MASK = 28, 29, 34, 0x3F
C_MASK = 0x1FF << 14  # the argument C; where it is 0 in a SETLIST, the next word is a number
NIL, BOOLEAN, NUMBER, STRING = 0, 1, 3, 4


def without_tail_calls(dumped: bytes) -> bytes:
    """The function that `string.dump` gave as `dumped`, with calls in the place of tail calls."""
    code = bytearray(dumped)
    _function(code, HEADER_BYTES)
    return bytes(code)


def _count(code: bytearray, place: int) -> tuple[int, int]:
    return unpack_from("<i", code, place)[0], place + 4


def _behind_string(code: bytearray, place: int) -> int:
    return int(place + 8 + unpack_from("<Q", code, place)[0])


def _function(code: bytearray, place: int) -> int:
    """Change the function at `place`, and those within; the place behind it."""
    place = _behind_string(code, place) + 12  # lines, and four bytes of counts
    count, place = _count(code, place)
    is_number = False
    for at in range(place, place + 4 * count, 4):
        instruction = unpack_from("<I", code, at)[0]
        if is_number:
            is_number = False
            continue
        is_number = instruction & OPCODE_MASK == OP_SETLIST and not instruction & C_MASK
        if instruction & OPCODE_MASK == OP_TAILCALL:
            pack_into("<I", code, at, instruction & ~OPCODE_MASK | OP_CALL)
    count, place = _count(code, place + 4 * count)
    for _ in range(count):
        place = _behind_constant(code, place)
    count, place = _count(code, place)
    for _ in range(count):
        place = _function(code, place)
    return _behind_names(code, place)


def _behind_constant(code: bytearray, place: int) -> int:
    kind, place = code[place], place + 1
    if kind == STRING:
        return _behind_string(code, place)
    return place + {NIL: 0, BOOLEAN: 1, NUMBER: 8}[kind]


def _behind_names(code: bytearray, place: int) -> int:
    """The place behind the lines, local variables and upvalues that a function ends with."""
    count, place = _count(code, place)
    count, place = _count(code, place + 4 * count)
    for _ in range(count):
        place = _behind_string(code, place) + 8
    count, place = _count(code, place)
    for _ in range(count):
        place = _behind_string(code, place)
    return place
