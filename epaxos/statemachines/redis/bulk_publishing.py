"""Batches of PUBLISHes, all at once."""

from __future__ import annotations

from epaxos.interfaces import Reply
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns
from epaxos.statemachines.redis.publishing import SHARDED
from epaxos.statemachines.redis.state import State

__all__ = ["is_publishing", "publish_all"]


def is_publishing(columns: Columns) -> bool:
    """Whether the batch does nothing else than to publish."""
    return all(shape.length == 3 and shape.name.upper() in SHARDED for shape in columns.shapes)


def publish_all(state: State, batch: Batch, columns: Columns) -> list[Reply] | None:
    """Run a batch of PUBLISHes, or of SPUBLISHes, at once, and return its replies; None for any other."""
    if len(columns.shapes) != 1 or columns.keys is None or not is_publishing(columns):
        return None
    is_sharded = SHARDED[columns.shapes[0].name.upper()]
    telling = state.telling
    counts: list[Reply] = [*telling.say_all(columns.keys, columns.arguments, is_sharded)]
    telling.end()
    return [0] * len(counts) if telling.is_kept else counts
