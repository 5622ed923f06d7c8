"""Batches of INCRs, or of one of its kin, all at once: what counting mostly consists of."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.interfaces.redis import INTEGER_MAX
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns
from epaxos.statemachines.redis.state import State

__all__ = ["add_to_counters"]

_SIGNS = {(b"INCR", 2): 1, (b"DECR", 2): -1, (b"INCRBY", 3): 1, (b"DECRBY", 3): -1}
"""By the shapes of commands: whether they add or subtract."""
_LONGEST = 19
_PLAIN = {bytes, type(None)}
_text_of = b"%d".__mod__


def add_to_counters(state: State, batch: Batch, columns: Columns) -> list[int] | None:
    """Run the batch; for each command the sum.

    None, and nothing is done, where the batch has anything else, where something is no integer or a sum might
    be too large, and where a key has a deadline.
    """
    name, length = columns.shapes[0]
    sign, keys = _SIGNS.get((name.upper(), length)), columns.keys
    if sign is None or keys is None or len(columns.shapes) > 1 or batch.reads:
        return None
    found = state.data.get_all(batch.writes)
    if not _PLAIN.issuperset(map(type, found)):
        return None
    held = _integers([b"0" if text is None else text for text in found])  # type: ignore[misc]
    steps = _integers(columns.arguments) if columns.arguments else [1] * batch.commands
    if not held or not steps or max(map(abs, held)) + sum(map(abs, steps)) > INTEGER_MAX:
        return None
    numbers = dict(zip(batch.writes, held))
    sums: list[int] = []
    for key, step in zip(keys, steps):
        number = numbers[key] = numbers[key] + sign * step
        sums.append(number)
    state.on_written(batch)
    state.data.set_all(batch.writes, map(_text_of, numbers.values()))
    return sums


def _integers(texts: Sequence[bytes]) -> list[int] | None:
    """The numbers, where each of the texts, one or more, is just what Redis writes for one."""
    if max(map(len, texts)) > _LONGEST:
        return None
    try:
        numbers = list(map(int, texts))
    except ValueError:
        return None
    return numbers if list(map(_text_of, numbers)) == texts else None
