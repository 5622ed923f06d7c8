"""Batches of ZADDs of one score each, all at once: what most writing of sorted sets consists of."""

from __future__ import annotations

from itertools import compress
from operator import ne
from typing import Any

from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns
from epaxos.statemachines.redis.bulk_collections import keep_all, own_all
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.scores import score_of
from epaxos.statemachines.redis.state import State

__all__ = ["set_scores"]

_SHAPE = (b"ZADD", 4)


def set_scores(state: State, batch: Batch, columns: Columns) -> list[int] | None:
    """Run the batch; for each command whether its member is new.

    None, and nothing is done, where the batch has anything else, or is long, where a score is none, and where
    a key has anything but a sorted set without a deadline.
    """
    if {(shape.name.upper(), shape.length) for shape in columns.shapes} != {_SHAPE}:
        return None
    scores: list[Any] = list(map(score_of, columns.arguments[::2]))
    owned = None if None in scores else own_all(state, batch, columns, Ranking)
    if owned is None:
        return None
    rankings, kept = owned
    before = list(map(Ranking.put, rankings, columns.arguments[1::2], scores))
    if state.is_watched and columns.keys is not None:
        state.marks.on_writes(0, compress(columns.keys, map(ne, before, scores)))
    keep_all(state, kept)
    return [int(score is None) for score in before]
