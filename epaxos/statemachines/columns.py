"""Commands as columns: the payload that our state machines send across the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import NamedTuple

from google.protobuf.message import DecodeError

from epaxos.interfaces import Command
from epaxos.protocol.messages import Batch
from epaxos.statemachines import columns_pb2

__all__ = ["Columns", "decode_columns", "decode_commands", "encode_commands"]


class Columns(NamedTuple):
    """All arguments behind each other, names included; `length` of each command when all are equal,
    else 0, and then `lengths` has one number a command."""

    arguments: list[bytes]
    length: int
    lengths: list[int]


def encode_commands(commands: Sequence[Command]) -> bytes:
    """The payload of one or more commands, none of which is empty."""
    columns = columns_pb2.Commands()
    lengths = set(map(len, commands))
    columns.lengths.extend(lengths if len(lengths) == 1 else map(len, commands))
    columns.arguments.extend(chain.from_iterable(commands))
    return columns.SerializeToString()


def decode_columns(batch: Batch) -> Columns:
    """What `encode_commands` made of the batch's commands.  Raises ValueError when it did not."""
    try:
        columns = columns_pb2.Commands.FromString(batch.payload)
    except DecodeError:
        raise ValueError("not a batch of commands") from None
    arguments, lengths = columns.arguments[:], columns.lengths[:]
    if len(lengths) == 1 and lengths[0] * batch.commands == len(arguments) and arguments:
        return Columns(arguments, lengths[0], [])
    if len(lengths) != batch.commands or sum(lengths) != len(arguments) or min(lengths) < 1:
        raise ValueError("a batch whose columns do not fit")
    return Columns(arguments, 0, lengths)


def decode_commands(batch: Batch) -> list[list[bytes]]:
    """The commands one by one.  Raises ValueError."""
    arguments, length, lengths = decode_columns(batch)
    if length:
        return [arguments[start : start + length] for start in range(0, len(arguments), length)]
    return [arguments[end - size : end] for end, size in zip(accumulate(lengths), lengths)]
