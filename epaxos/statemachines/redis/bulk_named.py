"""Batches of HSETs of one field each, or of SADDs of one member each, all at once: what most writing of
hashes and sets consists of."""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress
from typing import NamedTuple

from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns
from epaxos.statemachines.redis.bulk_collections import keep_all, own_all
from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.members import Members
from epaxos.statemachines.redis.named import Named
from epaxos.statemachines.redis.state import State

__all__ = ["set_named"]


class _Change(NamedTuple):
    """What a command does to the collection of its key.  `always_writes`: also where nothing is new."""

    kind: type[Named]
    change: Callable[..., bool]
    always_writes: bool


_CHANGES = {
    (b"HSET", 4): _Change(Fields, Fields.set, True),
    (b"SADD", 3): _Change(Members, Members.add, False),
}


def set_named(state: State, batch: Batch, columns: Columns) -> list[int] | None:
    """Run the batch; for each command whether its name is new.

    None, and nothing is done, where the batch has anything else, or is long, and where a key has anything but
    a collection of the right type without a deadline.
    """
    shapes = {(shape.name.upper(), shape.length) for shape in columns.shapes}
    shape = shapes.pop()
    found = _CHANGES.get(shape)
    if shapes or found is None:
        return None
    kind, change, always_writes = found
    owned = own_all(state, batch, columns, kind)
    if owned is None:
        return None
    collections, kept = owned
    width = shape[1] - 2
    arguments = [columns.arguments[start::width] for start in range(width)]
    counts = list(map(int, map(change, collections, *arguments)))
    if always_writes:
        state.on_written(batch)
    elif state.is_watched and columns.keys is not None:
        state.marks.on_writes(0, compress(columns.keys, counts))
    keep_all(state, kept)
    return counts
