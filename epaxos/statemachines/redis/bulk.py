"""Batches of SETs with a time to live, all at once: what stores of sessions and caches mostly do."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.interfaces import CommandError
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns
from epaxos.statemachines.redis.lifetimes import LIFETIMES, lifetime_of
from epaxos.statemachines.redis.state import State

__all__ = ["set_all_for_a_time"]


def set_all_for_a_time(state: State, batch: Batch, columns: Columns) -> bool:
    """Run the batch if it is SETs with one and the same option of a time to live, or SETEXs, or PSETEXs, and
    nothing is wrong with any of them.  Whether it was so."""
    found = _columns_of(columns)
    if found is None or columns.keys is None:
        return False
    option, numbers, values = found
    try:
        lifetimes = {number: lifetime_of((b"SET",), option, number) for number in set(numbers)}
    except CommandError:
        return False
    now_ms = columns.time_ms
    if not now_ms:  # the proposer's clock was not to be trusted, which each client is told
        return False
    deadlines = {number: lifetime.deadline(now_ms) for number, lifetime in lifetimes.items()}
    if min(deadlines.values()) <= now_ms:
        return False
    state.has_objects = True
    state.on_written(batch)
    expiring = list(zip(values, map(deadlines.__getitem__, numbers)))
    if len(batch.writes) == batch.commands:
        state.data.set_all(columns.keys, expiring)
    else:  # some keys are set more than once
        state.data.update(zip(columns.keys, expiring))
    if len(deadlines) == 1:
        state.deadlines.add_all(0, batch.writes, *deadlines.values())
    else:
        for key, number in zip(columns.keys, numbers):
            state.on_deadline(0, key, deadlines[number])
    return True


def _columns_of(columns: Columns) -> tuple[bytes, Sequence[bytes], Sequence[bytes]] | None:
    """The option, the numbers and the values; None where the batch is another one."""
    if len(columns.shapes) != 1:
        return None
    (name, length), arguments = columns.shapes[0], columns.arguments
    name = name.upper()
    if name == b"SET" and length == 5:
        options = {option.upper() for option in set(arguments[1::3])}
        if len(options) == 1 and not options.isdisjoint(LIFETIMES):
            return options.pop(), arguments[2::3], arguments[::3]
    elif length == 4 and name in (b"SETEX", b"PSETEX"):
        return b"EX" if name == b"SETEX" else b"PX", arguments[::2], arguments[1::2]
    return None
