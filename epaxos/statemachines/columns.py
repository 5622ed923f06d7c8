"""Commands as columns: the payload of the batches of our state machines.

The payload does not repeat the keys, because the batch carries them for the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from itertools import chain, count, islice, repeat
from operator import itemgetter
from typing import NamedTuple

from google.protobuf.message import DecodeError

from epaxos.interfaces import Command
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines import columns_pb2

__all__ = ["Columns", "Shape", "decode_columns", "decode_commands", "encode_commands"]

_name = itemgetter(0)
_key = itemgetter(1)
_value = itemgetter(2)
_arguments = itemgetter(slice(1, None))
_rest = itemgetter(slice(2, None))


class Shape(NamedTuple):
    """What commands have in common: the name, as the client wrote it, and the number of elements."""

    name: bytes
    length: int


class Columns(NamedTuple):
    """The commands of a batch.

    `shapes`: all shapes; `which`: the index of the shape of each command, empty when there is only one shape
    and `keys` is not None; `keys`: the first argument of each command, where all of them are keys of the
    batch, else None; `arguments`: all other arguments, command by command; `time_ms`, `seed`: the time of the
    leader, and its throw of the dice.
    """

    shapes: list[Shape]
    which: list[int]
    keys: Sequence[bytes] | None
    arguments: list[bytes]
    time_ms: int = 0
    seed: int = 0


def encode_commands(
    commands: Sequence[Command],
    keys: tuple[bytes, ...] = (),
    time_ms: int = 0,
    seed: int = 0,
    found: tuple[Set[bytes], Set[int]] | None = None,
) -> bytes:
    """The payload of one or more commands, none of which is empty.

    `keys`: the keys of the batch, the written ones first, if the first argument of every command is a key.
    `time_ms`, `seed`: see Columns.  `found`: the names and the lengths of the commands, where they are known.
    """
    columns = columns_pb2.Commands(time_ms=time_ms, seed=seed)
    names, lengths = found or (set(map(_name, commands)), set(map(len, commands)))
    if len(names) > 1 or len(lengths) > 1 or not keys:
        shapes = list(zip(map(_name, commands), map(len, commands)))
        numbers = dict(zip(dict.fromkeys(shapes), count()))
        columns.names.extend(map(_name, numbers))
        columns.lengths.extend(length for _, length in numbers)
        columns.shapes.extend(map(numbers.__getitem__, shapes))
    else:
        columns.names.extend(names)
        columns.lengths.extend(lengths)
    if not keys:
        columns.arguments.extend(chain.from_iterable(map(_arguments, commands)))
        return columns.SerializeToString()
    columns.keyed = True
    first = tuple(map(_key, commands))
    if first != keys:
        columns.keys.extend(map(dict(zip(keys, count())).__getitem__, first))
    columns.arguments.extend(_behind_keys(commands, lengths))
    return columns.SerializeToString()


def _behind_keys(commands: Sequence[Command], lengths: Set[int]) -> Iterable[bytes]:
    if lengths == {3}:
        return map(_value, commands)
    return chain.from_iterable(map(_rest, commands)) if lengths != {2} else ()


def decode_columns(batch: Batch) -> Columns:
    """The columns of a batch.  Raises ValueError when `encode_commands` cannot have made its payload."""
    try:
        columns = columns_pb2.Commands.FromString(batch.payload)
    except DecodeError:
        raise ValueError("not a batch of commands") from None
    names, lengths, which = columns.names[:], columns.lengths[:], columns.shapes[:]
    arguments = columns.arguments[:]
    here = [length - 1 - columns.keyed for length in lengths]
    if which:
        fits = len(which) == batch.commands and max(which) < len(here)
        size = sum(map(here.__getitem__, which)) if fits else 0
    else:
        fits = len(here) == 1 and columns.keyed
        size = here[0] * batch.commands if fits else 0
    if not fits or len(names) != len(here) or min(here) < 0 or size != len(arguments):
        raise ValueError("a batch whose columns do not fit")
    keys = _decode_keys(batch, columns.keys[:]) if columns.keyed else None
    return Columns(list(map(Shape, names, lengths)), which, keys, arguments, columns.time_ms, columns.seed)


def _decode_keys(batch: Batch, numbers: list[int]) -> Sequence[bytes]:
    keys = batch.writes + batch.reads if batch.reads else batch.writes
    if not numbers:
        if len(keys) != batch.commands:
            raise ValueError("a batch whose keys do not fit")
        return keys
    if len(numbers) != batch.commands or max(numbers) >= len(keys):
        raise ValueError("a batch whose keys do not fit")
    return list(map(keys.__getitem__, numbers))


def decode_commands(columns: Columns) -> list[list[bytes]]:
    """The commands one by one."""
    shapes, which, keys, arguments = columns[:4]
    shape_of = map(shapes.__getitem__, which) if which else repeat(shapes[0])
    rest = iter(arguments)
    if keys is None:
        return [[shape.name, *islice(rest, shape.length - 1)] for shape in shape_of]
    return [[shape.name, key, *islice(rest, shape.length - 2)] for key, shape in zip(keys, shape_of)]
