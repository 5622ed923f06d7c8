"""A restart: seconds until a replica with much on its disk serves again."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from epaxos.interfaces import Checkpoint, Identity, IStore, Ready, StoreError, WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.messages import Phase
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.storage.leveldb.store import LevelDBStore
from tests.bench.load import KEYS, VALUE_BYTES, command
from tests.bench.processes import BenchCluster, wait_for
from tests.bench.results import Result, Table
from tests.bench.session import Session
from tests.storage.loop import Loop

__all__ = ["restart"]

N = 3
RECORDS = 100_000
COMMANDS_PER_CHECKPOINT = 15_000
COMMANDS_PER_BATCH = 100
RECORDS_PER_WRITE = 1000
VALUE = b"v" * VALUE_BYTES


def _checkpoints(store: IStore, keys: int) -> Iterator[WriteSet]:
    """What leads to a state of so many keys, as a replica under load writes it, with the whole state
    where the store wants it."""
    machine = KeyValueStore()
    slot = 0
    for first in range(0, keys, COMMANDS_PER_CHECKPOINT):
        last = min(keys, first + COMMANDS_PER_CHECKPOINT)
        commands = [[b"SET", b"key:%012d" % number, VALUE] for number in range(first, last)]
        batches = []
        for start in range(0, len(commands), COMMANDS_PER_BATCH):
            slot += 1
            batch = machine.batch(commands[start : start + COMMANDS_PER_BATCH])
            batches.append((InstanceId(0, slot), batch))
        machine.apply([Ready(id, batch, False) for id, batch in batches])
        state = machine.entries() if store.wants_state else None
        yield WriteSet(checkpoint=Checkpoint((0,) * N, (), batches, state), sync=True)


def _records(count: int) -> Iterator[WriteSet]:
    """Committed instances of one SET each, the rows in turn, each after all of the round before."""
    machine = KeyValueStore()
    write_set = WriteSet(reserved=count // N + 1)
    for number in range(count):
        id = InstanceId(number % N, number // N + 1)
        batch = machine.batch([[b"SET", b"key:%012d" % (number * 7919 % KEYS), VALUE]])
        deps = (id.slot - 1,) * N
        write_set.batches.append((id, batch))
        write_set.records.append(InstanceRecord(id, Phase.COMMITTED, 0, 0, Value.PROPOSED, deps, deps))
        if len(write_set.records) == RECORDS_PER_WRITE:
            yield write_set
            write_set = WriteSet()
    yield write_set


def _fill(folder: Path, keys: int, records: int) -> None:
    """Make the data folder of replica 0, through the store itself."""
    loop = Loop()
    failures: list[StoreError] = []
    store = LevelDBStore(folder, call_from_thread=loop.call_from_thread, failed=failures.append)
    restored = store.open(Identity("example", 0, Epoch.first(N), "kv"))
    members = (Member(0, restored.uid), *(Member(number, number) for number in range(1, N)))
    last = WriteSet(founded=Membership(1, 0, VERSION, members), sync=True)
    written: list[None] = []
    write_sets = chain(
        _checkpoints(store, keys),
        _records(records),
        [last],
    )
    for count, write_set in enumerate(write_sets, 1):
        store.write(write_set, lambda: written.append(None))
        if write_set.sync:
            loop.run_until(lambda count=count: failures or len(written) == count)
    closed = store.close()
    loop.run_until(lambda: closed.called)
    if failures:
        raise failures[0]


def _answers(port: int) -> bool:
    with socket.socket() as client:
        if client.connect_ex(("127.0.0.1", port)):
            return False
        client.sendall(command(b"PING"))
        return client.recv(100) == b"+PONG\r\n"


def _seconds_until_ready(keys: int, records: int) -> tuple[float, float]:
    """Until its Redis port answers, and until everything on its disk is executed."""
    with BenchCluster(N) as replicas:
        _fill(replicas.folder / "data" / "0", keys, records)
        begin = time.monotonic()
        replicas.start(0)
        wait_for("the replica answers", lambda: _answers(replicas.redis_ports[0]), 120)
        ready = time.monotonic() - begin

        def executed() -> bool:
            status = replicas.try_status(0)
            return status is not None and sum(status["executed"]) >= records

        wait_for("everything is executed", executed, 120)
        return ready, time.monotonic() - begin


def restart(session: Session, available: dict[str, str]) -> Result:
    """Replica 0 of three, alone, with a full data folder."""
    result = Result("Restart of a replica")
    table = Table(
        "From starting the process",
        ["keys in the state", "committed records not executed", "answers clients, s", "has executed them, s"],
    )
    sizes = [(0, 0), (KEYS, 0), (0, RECORDS), (KEYS, RECORDS)]
    if session.quick:
        sizes = [(0, 0), (KEYS // 10, RECORDS // 10)]
    for keys, records in sizes:
        session.say(f"restart with {keys} keys and {records} records")
        ready, executed = _seconds_until_ready(keys, records)
        table.lines.append([f"{keys:,}", f"{records:,}", f"{ready:.2f}", f"{executed:.2f}"])
    result.tables.append(table)
    result.settings.append(
        "LevelDB; the folder is written through the store: the state as checkpoints of 15,000 SETs in"
        " batches of 100, and with whole states where the store wants them; records of one SET each; 16-byte"
        " keys and values."
    )
    return result
