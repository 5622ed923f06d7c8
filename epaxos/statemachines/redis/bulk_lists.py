"""Batches that push and pop single elements, all at once: what queues mostly do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from epaxos.interfaces import Reply
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns
from epaxos.statemachines.redis.bulk_collections import keep_all, own_all
from epaxos.statemachines.redis.items import Items
from epaxos.statemachines.redis.state import State

__all__ = ["push_and_pop"]

_PUSHES: dict[tuple[bytes, int], Callable[[Items, bytes], Any]] = {
    (b"LPUSH", 3): Items.push_left,
    (b"RPUSH", 3): Items.push_right,
}
_POPS: dict[tuple[bytes, int], Callable[[Items], Any]] = {
    (b"LPOP", 2): Items.pop_left,
    (b"RPOP", 2): Items.pop_right,
}
_SHAPES = _PUSHES.keys() | _POPS.keys()


def push_and_pop(state: State, batch: Batch, columns: Columns) -> Sequence[Reply] | None:
    """Run the batch; the reply to each command.

    None, and nothing is done, where the batch has anything else, or is long, and where a key has anything but
    a list without a deadline.
    """
    shapes = [(shape.name.upper(), shape.length) for shape in columns.shapes]
    owned = own_all(state, batch, columns, Items) if _SHAPES.issuperset(shapes) else None
    if owned is None or columns.keys is None:
        return None
    (lists, kept), keys = owned, columns.keys
    replies = _run(shapes, columns, lists)
    if state.is_watched:
        state.marks.on_writes(0, [key for key, reply in zip(keys, replies) if reply is not None])
    if not _PUSHES.keys() >= set(shapes):
        for key in [key for key, items in zip(keys, lists) if not items]:
            kept.pop(key, None)
            state.data.pop(key, None)
    keep_all(state, kept)
    return replies


def _run(shapes: list[tuple[bytes, int]], columns: Columns, lists: list[Items]) -> list[Reply]:
    """`lists`: that of each command."""
    if len(shapes) == 1:
        (shape,) = shapes
        if shape in _PUSHES:
            return list(map(_PUSHES[shape], lists, columns.arguments))
        return list(map(_POPS[shape], lists))
    arguments = iter(columns.arguments)
    pushes, pops = list(map(_PUSHES.get, shapes)), list(map(_POPS.get, shapes))
    replies: list[Reply] = []
    for number, items in zip(columns.which or repeat(0), lists):
        push = pushes[number]
        replies.append(pops[number](items) if push is None else push(items, next(arguments)))  # type: ignore[misc]
    return replies
