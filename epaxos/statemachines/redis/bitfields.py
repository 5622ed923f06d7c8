"""BITFIELD and BITFIELD_RO: integers of 1 to 64 bits anywhere in a string, as Redis 7 has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.bits import bit_offset_of, check_length, part_of
from epaxos.statemachines.redis.paged import PAGE_BYTES, overwritten
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys
from epaxos.statemachines.redis.values import String

__all__ = ["COMMANDS"]

ARGUMENTS_MAX = 4096
"""The most arguments of a BITFIELD, which takes 5 ms: it runs in one step."""
_OVERFLOWS = (b"WRAP", b"SAT", b"FAIL")


class _Operation(NamedTuple):
    """`name`: GET, SET or INCRBY.  `number`: what is set or added."""

    name: bytes
    is_signed: bool
    bits: int
    offset: int
    number: int
    overflow: bytes

    def fitting(self, total: int) -> int | None:
        """The number that is held for `total`; None when it is too large, and FAIL is wanted."""
        lowest = -(1 << self.bits - 1) if self.is_signed else 0
        highest = lowest + (1 << self.bits) - 1
        if lowest <= total <= highest:
            return total
        if self.overflow == b"FAIL":
            return None
        if self.overflow == b"SAT":
            return highest if total > highest else lowest
        return (total - lowest) % (1 << self.bits) + lowest

    def read(self, value: bytes | bytearray) -> int:
        """The number in a value of these bytes, behind which are zeros; `offset` counts from its begin."""
        first, behind = self.offset >> 3, self.offset + self.bits + 7 >> 3
        found = int.from_bytes(value[first:behind].ljust(behind - first, b"\0"), "big")
        number = found >> 8 * behind - self.offset - self.bits & (1 << self.bits) - 1
        return number - (1 << self.bits) if self.is_signed and number >> self.bits - 1 else number

    def write(self, value: bytearray, number: int) -> None:
        """Put the number, which fits, into a value that is long enough."""
        first, behind = self.offset >> 3, self.offset + self.bits + 7 >> 3
        shift, mask = 8 * behind - self.offset - self.bits, (1 << self.bits) - 1
        found = int.from_bytes(value[first:behind], "big")
        found = found & ~(mask << shift) | (number & mask) << shift
        value[first:behind] = found.to_bytes(behind - first, "big")


def _operations(command: Command) -> Iterator[_Operation]:
    """Raises CommandError."""
    overflow, place = b"WRAP", 2
    while place < len(command):
        name = command[place].upper()
        if name == b"OVERFLOW" and place + 1 < len(command):
            overflow = command[place + 1].upper()
            if overflow not in _OVERFLOWS:
                raise CommandError("ERR Invalid OVERFLOW type specified")
            place += 2
            continue
        arguments = {b"GET": 3, b"SET": 4, b"INCRBY": 4}.get(name)
        if arguments is None or place + arguments > len(command):
            raise CommandError(SYNTAX_ERROR)
        is_signed, bits = _type_of(command[place + 1])
        text = command[place + 2]
        offset = bit_offset_of(text[1:], bits) if text[:1] == b"#" else bit_offset_of(text)
        number = integer_of(command[place + 3]) if arguments == 4 else 0
        if number is None:
            raise CommandError(NOT_AN_INTEGER)
        yield _Operation(name, is_signed, bits, offset, number, overflow)
        place += arguments


def _type_of(text: bytes) -> tuple[bool, int]:
    bits = integer_of(text[1:])
    is_signed = text[:1] == b"i"
    if bits is None or text[:1] not in (b"i", b"u") or not 1 <= bits <= 63 + is_signed:
        raise CommandError(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
        )
    return is_signed, bits


def _check(command: Command) -> None:
    if len(command) > ARGUMENTS_MAX:
        raise CommandError("ERR too many arguments for 'bitfield' command")
    for _ in _operations(command):
        pass


def _check_read(command: Command) -> None:
    _check(command)
    if any(operation.name != b"GET" for operation in _operations(command)):
        raise CommandError("ERR BITFIELD_RO only supports the GET subcommand")


def _bitfield(space: Space, command: Command) -> Reply:
    operations = list(_operations(command))
    found = space.string(command[1])
    value = b"" if found is None else found
    ends = [each.offset + each.bits + 7 >> 3 for each in operations if each.name != b"GET"]
    if not ends:
        return [_got(value, each) for each in operations]
    length = max(*ends, len(value))
    check_length(length, value)
    offsets = [each.offset for each in operations]
    is_narrow = max(offsets) - min(offsets) <= 8 * PAGE_BYTES
    replies: list[Reply] = []
    changed = value
    for some in [operations] if is_narrow else [[each] for each in operations]:
        changed = _changed(changed, some, replies)
    if changed is not value:
        space.put(command[1], changed)
    return replies


def _changed(value: String, operations: Sequence[_Operation], replies: list[Reply]) -> String:
    """The value after these operations, which lie close together; itself where it is the same."""
    start = min(each.offset >> 3 for each in operations)
    ends = [(each.offset + each.bits + 7 >> 3, each.name != b"GET") for each in operations]
    end = max((end for end, writes in ends if writes), default=start)
    before = part_of(value, start, max(ends)[0])
    held = bytearray(before.ljust(end - start, b"\0"))
    replies += [_run(held, each._replace(offset=each.offset - 8 * start)) for each in operations]
    return value if held == before else overwritten(value, start, bytes(held))


def _got(value: Any, operation: _Operation) -> Reply:
    """What GET answers, at the cost of its own bytes."""
    first = operation.offset >> 3
    return operation._replace(offset=operation.offset & 7).read(part_of(value, first, first + 9))


def _run(held: bytearray, operation: _Operation) -> Reply:
    old = operation.read(held)
    if operation.name == b"GET":
        return old
    total = operation.number
    if operation.name == b"INCRBY":
        total += old
    elif not operation.is_signed:
        total %= 1 << 64  # as C has it
    number = operation.fitting(total)
    if number is None:
        return None
    operation.write(held, number)
    return number if operation.name == b"INCRBY" else old


COMMANDS = (
    CommandSpec(
        b"BITFIELD", _bitfield, -2, Keys.FIRST, True, check=_check, plain=2, flags=("denyoom",),
        usage="BITFIELD key [GET encoding offset]"
        " [[OVERFLOW WRAP|SAT|FAIL] SET|INCRBY encoding offset number] ...",
        summary="read, set or increment integers of some bits: `i` and `u` with their number, as in `u8`; a"
        " `#` before the offset counts in such integers",
        categories=("bitmap",), complexity="O(N) with N bytes",
    ),
    CommandSpec(
        b"BITFIELD_RO", _bitfield, -2, Keys.FIRST, False, check=_check_read, plain=2,
        usage="BITFIELD_RO key [GET encoding offset] ...", summary="as BITFIELD, with GET alone",
        categories=("bitmap",),
    ),
)  # fmt: skip
