"""Targets: the values of keys, as entries of a state and payloads of RESTORE hold them."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from epaxos.statemachines.redis.dump.crc64 import checksum
from epaxos.statemachines.redis.dump.errors import DumpError
from epaxos.statemachines.redis.dump.payload import dump, load
from epaxos.statemachines.redis.kinds import KINDS
from epaxos.statemachines.redis.pieces import pieces_of
from tests.fuzz.choices import Choices

__all__ = ["collection", "payload"]

T = TypeVar("T")
_ELEMENTS = (b"", b"a", b"b", b"1", b"-2.5", b"\xfd\x00", b"\xfe", b"\xff", b"x" * 64, b"y" * 65)


def _result(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value


def collection(data: bytes) -> None:
    """The pieces of a collection of any type are those of one that is encoded so, or raise ValueError."""
    choices = Choices(data)
    kind = KINDS[choices.of(sorted(KINDS))]
    if choices.below(2):
        pieces = [choices.rest()]
    else:
        elements = [choices.of(_ELEMENTS) for _ in range(choices.below(8))]
        head = bytes([choices.of(b"plb")]) + choices.below(9).to_bytes(8, "little")
        pieces = [head + piece for piece in pieces_of(elements)] * (1 + choices.below(2))
    try:
        value = kind.decode(pieces)
    except ValueError:
        return
    assert len(value) > 0
    encoded = list(value.copy().encode())
    assert list(kind.decode(encoded).encode()) == encoded


def payload(data: bytes) -> None:
    """A payload whose checksum is right is a value, which is dumped and read again, or raises DumpError."""
    body = data + (10).to_bytes(2, "little")
    try:
        loaded = _result(load(body + _result(checksum(body)).to_bytes(8, "little")))
    except DumpError:
        return
    assert _result(load(_result(dump(loaded)))) == loaded
