"""Execution of a backlog: how long a million committed commands take, and that it is linear."""

from __future__ import annotations

import gc
from random import Random
from time import process_time
from typing import NamedTuple

from epaxos.execution.executor import Executor
from epaxos.interfaces import Ready
from epaxos.statemachines.kv import KeyValueStore
from tests.bench.load import KEYS, VALUE_BYTES
from tests.bench.results import Plot, Result, Table
from tests.bench.session import Session
from tests.execution import histories
from tests.execution.histories import Decided

__all__ = ["backlog"]

COMMANDS_PER_BATCH = 100
COMMANDS = 1_000_000
LIMIT = 256
"""As `node.EXECUTED_PER_TURN`."""


def _with_payload(decided: Decided, machine: KeyValueStore) -> Decided:
    """The same instance with SETs of its keys, as many as a batch has."""
    keys = decided.batch.writes
    value = b"v" * VALUE_BYTES
    commands = [[b"SET", key, value] for key in keys * (COMMANDS_PER_BATCH // len(keys))]
    return Decided(decided.id, machine.batch(commands), decided.deps)


class Spent(NamedTuple):
    """Seconds to take the commits, to order them once the first instance has come, and to apply them."""

    commit: float
    order: float
    apply: float


def _measure(commands: int, one_key: bool) -> Spent:
    machine = KeyValueStore()
    keys, key_space = (1, 1) if one_key else (COMMANDS_PER_BATCH, KEYS)
    history = histories.backlog(
        3, commands // COMMANDS_PER_BATCH, keys, key_space, Random(1), blocker="prefix"
    )
    first, *blocked = [_with_payload(decided, machine) for decided in history]
    gc.collect()
    executor = Executor(3)
    begin = process_time()
    for decided in blocked:
        executor.commit(*decided)
    committed = process_time()
    executor.commit(*first)
    done, applying = 0, 0.0
    while executor.busy:
        ran = executor.run(LIMIT)
        ordered = process_time()
        machine.apply([Ready(id, batch, False) for id, batch in ran])
        applying += process_time() - ordered
        done += len(ran)
    end = process_time()
    assert done == len(history), (done, len(history))
    return Spent(committed - begin, end - committed - applying, applying)


def backlog(session: Session, available: dict[str, str]) -> Result:
    """Random keys and one key, at a quarter, a half and all of the size."""
    result = Result("Execution of a backlog")
    largest = COMMANDS // 10 if session.quick else COMMANDS
    sizes = [largest // 4, largest // 2, largest]
    table = Table(
        f"Commands behind one missing instance, {COMMANDS_PER_BATCH} a batch, executed when it comes",
        ["commands", "keys", "commit, s", "order, s", "apply, s", "us a command"],
    )
    series: dict[str, list[float | None]] = {"random keys": [], "one key": []}
    for size in sizes:
        for name in series:
            session.say(f"backlog of {size} commands, {name}")
            spent = _measure(size, name == "one key")
            each = sum(spent) / size * 1e6
            table.lines.append([f"{size:,}", name, *(f"{part:.3f}" for part in spent), f"{each:.3f}"])
            series[name].append(sum(spent))
    result.tables.append(table)
    result.plots.append(
        Plot(
            "backlog",
            "Execution of a backlog of committed commands",
            "seconds",
            [f"{size:,} commands" for size in sizes],
            series,
        )
    )
    result.settings.append("In one process, processor time; executor and key-value store, no disk.")
    return result
