"""An event loop that the test turns by hand, and the values that the tests of stores write."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Event
from typing import Any

from epaxos.interfaces import Changes, Checkpoint, Identity, Restored, WriteSet
from epaxos.protocol.ids import InstanceId
from epaxos.protocol.instance import InstanceRecord, Value
from epaxos.protocol.messages import Batch, Phase

IDENTITY = Identity("test", 1, 3, "kv")
PATIENCE_S = 30


class Loop:
    """What a store's thread sees as the event loop.  `hold` keeps the thread in its call."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._goes_on = Event()
        self._goes_on.set()
        self._arrived = Event()

    def call_from_thread(self, call: Callable[..., object], *args: Any) -> None:
        self._arrived.set()
        assert self._goes_on.wait(PATIENCE_S)
        self._calls.put(lambda: call(*args))

    def hold(self) -> None:
        self._arrived.clear()
        self._goes_on.clear()

    def wait_until_held(self) -> None:
        assert self._arrived.wait(PATIENCE_S)

    def release(self) -> None:
        self._goes_on.set()

    def run_until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._calls.get(timeout=PATIENCE_S)()


def batch(number: int, size: int = 10) -> Batch:
    return Batch((b"key %d" % number,), (b"read", b"too"), b"\xa5" * size, 2, number % 5 == 0)


def record(id: InstanceId, phase: Phase = Phase.PREACCEPTED, value: Value = Value.PROPOSED) -> InstanceRecord:
    abal = 4 if phase >= Phase.ACCEPTED else 0
    return InstanceRecord(id, phase, 7, abal, value, (id.slot - 1, 0, 0), (0, 0, 0))


def proposal(slot: int, row: int = 1, sync: bool = True, size: int = 10) -> WriteSet:
    id = InstanceId(row, slot)
    return WriteSet(batches=[(id, batch(slot, size))], records=[record(id)], sync=sync)


def checkpoint(
    executed: int,
    entries: dict[bytes, bytes | None],
    cleared: bool = False,
    sync: bool = True,
    state: dict[bytes, bytes] | None = None,
) -> WriteSet:
    beyond = (InstanceId(0, executed + 2), InstanceId(2, executed + 7))
    whole = None if state is None else state.copy().items()
    changes = Changes(cleared, entries)
    return WriteSet(checkpoint=Checkpoint((executed, executed, 0), beyond, changes, whole), sync=sync)


def contents(restored: Restored) -> dict[str, Any]:
    """All that was restored, read through."""
    return {
        **restored._asdict(),
        "records": {record.id: (record, batch) for record, batch in restored.records},
    }
