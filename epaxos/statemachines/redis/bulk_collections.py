"""What bulk operations on collections have in common: they change the collections of all keys at once."""

from __future__ import annotations

from typing import Any

from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns
from epaxos.statemachines.redis.state import State
from epaxos.statemachines.redis.values import Collection

__all__ = ["keep_all", "own_all"]


def own_all(
    state: State, batch: Batch, columns: Columns, kind: type[Collection]
) -> tuple[list[Any], dict[bytes, Any]] | None:
    """For each command the collection of its key, to be changed (`Space.own`), and those to be kept.

    None where the batch is long, and where a key has anything but a collection of this type without a
    deadline.
    """
    if columns.keys is None or batch.commands > state.elements_per_step:
        return None
    data = state.data
    collections: list[Any] = data.get_all(columns.keys)
    if not {kind, type(None)}.issuperset(map(type, collections)):
        return None
    generation = data.generation
    kept: dict[bytes, Any] = {}
    for place, held in enumerate(collections):
        if held is None or held.generation != generation:
            key = columns.keys[place]
            known = kept.get(key)
            if known is None:
                known = kept[key] = kind() if held is None else held.copy()
            collections[place] = known
    return collections, kept


def keep_all(state: State, kept: dict[bytes, Any]) -> None:
    """Keep these collections, each of which has elements (`Space.keep`)."""
    if kept:
        state.has_objects = True
        state.data.set_all(kept, kept.values())
        for held in kept.values():
            held.generation = state.data.generation
