"""PFADD, PFCOUNT, PFMERGE.  The value itself, which is a string: `hyperloglog.py`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import OK
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.hyperloglog import (
    EMPTY,
    REGISTERS,
    added,
    cached,
    estimate,
    is_dense,
    merged,
    of_registers,
    place_of,
    registers_of,
)
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once

__all__ = ["COMMANDS"]

ELEMENTS_BYTES_MAX = 1024 * 1024
"""The bytes of the elements of one PFADD, at most: to hash them takes 0.1 s, in steps."""
_STEP_BYTES = 32 * 1024
_FEW_KEYS = 8
_LONGEST_BYTES = 16 + 2 * REGISTERS
"""What is longer is no HyperLogLog."""


def _value_of(space: Space, key: bytes) -> bytes | None:
    value = space.string(key)
    if isinstance(value, Growing):
        return value.slice(0, _LONGEST_BYTES + 1)
    return value


def _check_add(command: Command) -> None:
    if sum(map(len, command[2:])) > ELEMENTS_BYTES_MAX:
        raise CommandError(f"ERR the elements are longer than {ELEMENTS_BYTES_MAX} bytes together")


def _is_long_add(command: Command) -> bool:
    return sum(map(len, command[2:])) > _STEP_BYTES


def _pfadd_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key = command[1]
    value = _value_of(space, key)
    places = []
    size_bytes = 0
    for element in command[2:]:
        places.append(place_of(element))
        size_bytes += 64 + len(element)
        if size_bytes > _STEP_BYTES:
            size_bytes = 0
            yield
    changed = added(EMPTY if value is None else value, places)
    if changed is None and value is None:
        changed = EMPTY
    if changed is None:
        return 0
    space.put(key, changed)
    return 1


def _union(values: Sequence[bytes]) -> Generator[None, None, bytearray]:
    found = bytearray(REGISTERS)
    for value in values:
        found = merged(found, registers_of(value))
        yield
    return found


def _values_of(space: Space, keys: Sequence[bytes]) -> Generator[None, None, list[bytes]]:
    """The values that there are.  Raises CommandError for one that is no HyperLogLog."""
    found = []
    for key in keys:
        value = _value_of(space, key)
        if value is not None:
            is_dense(value)
            found.append(value)
        yield
    return found


def _pfcount_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    values = yield from _values_of(space, command[1:])
    if len(command) == 2 and values and (known := cached(values[0])) is not None:
        return known
    return estimate((yield from _union(values))) if values else 0


def _pfmerge_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    values = yield from _values_of(space, command[1:])
    registers = yield from _union(values)
    space.put(command[1], of_registers(registers, any(map(is_dense, values))))
    return OK


def _are_many(space: Space, command: Command) -> bool:
    return len(command) > _FEW_KEYS


def _command(name: bytes, in_pieces: Any, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, at_once(in_pieces), -2, in_pieces=in_pieces, usage=usage, summary=summary,
        categories=("hyperloglog",), **more,
    )  # fmt: skip


_KEYS: dict[str, Any] = {"keys": Keys.ALL, "is_large": _are_many, "complexity": "O(N) with N keys"}

COMMANDS = (
    _command(
        b"PFADD", _pfadd_in_pieces, "PFADD key [element [element ...]]",
        "count elements; the reply is 1 when the estimate may have changed",
        keys=Keys.FIRST, writes=True, check=_check_add, is_long=_is_long_add, flags=("denyoom", "fast"),
        complexity="O(N) with N elements",
    ),
    _command(
        b"PFCOUNT", _pfcount_in_pieces, "PFCOUNT key [key ...]",
        "about the number of distinct elements that any of the keys has counted", writes=False, flags=(),
        **_KEYS,
    ),
    _command(
        b"PFMERGE", _pfmerge_in_pieces, "PFMERGE destkey [sourcekey [sourcekey ...]]",
        "let `destkey` have counted what the others have", writes=True, flags=("denyoom",), **_KEYS,
    ),
)  # fmt: skip
