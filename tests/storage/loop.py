"""An event loop that the test turns by hand, and the values that the tests of stores write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import SimpleQueue
from struct import Struct
from threading import Event
from typing import Any

from epaxos.interfaces import Checkpoint, Identity, Restored, WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.messages import Batch, Phase

IDENTITY = Identity("test", 1, Epoch.first(3), "kv")
PATIENCE_S = 30

Changes = Mapping[bytes, "bytes | None"]
"""Values by key; None for what is removed."""
Executed = tuple[InstanceId, Batch]

_LENGTH = Struct("<i")


class Loop:
    """The event loop, as a store's thread sees it.  `hold` keeps the thread in its call."""

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

    def run_waiting(self) -> None:
        """Make the calls that wait."""
        while not self._calls.empty():
            self._calls.get()()

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


CLEARING = Batch((), (), b"", 1, True)
"""The batch that removes all keys."""


def change(entries: Changes) -> Batch:
    """A batch that gives the keys these values."""
    values = (b"" if value is None else value for value in entries.values())
    lengths = (-1 if value is None else len(value) for value in entries.values())
    return Batch(tuple(entries), (), b"".join((*map(_LENGTH.pack, lengths), *values)), len(entries))


def run(state: dict[bytes, bytes], executed: Iterable[Executed]) -> dict[bytes, bytes]:
    """Apply batches, each CLEARING or made by `change`, to `state` in place, and return it."""
    for _, batch in executed:
        if batch.barrier:
            state.clear()
        position = _LENGTH.size * len(batch.writes)
        lengths = [length for (length,) in _LENGTH.iter_unpack(batch.payload[:position])]
        for key, length in zip(batch.writes, lengths):
            if length < 0:
                state.pop(key, None)
            else:
                state[key] = batch.payload[position : position + length]
                position += length
    return state


def checkpoint_of(
    executed: int,
    batches: Sequence[Executed],
    sync: bool = True,
    state: Mapping[bytes, bytes] | None = None,
) -> WriteSet:
    beyond = (InstanceId(0, executed + 2), InstanceId(2, executed + 7))
    whole = None if state is None else dict(state).items()
    return WriteSet(checkpoint=Checkpoint((executed, executed, 0), beyond, batches, whole), sync=sync)


def checkpoint(
    executed: int, entries: Changes, sync: bool = True, state: Mapping[bytes, bytes] | None = None
) -> WriteSet:
    """A checkpoint with one batch, which makes the changes `entries`."""
    return checkpoint_of(executed, [(InstanceId(1, executed + 1), change(entries))], sync, state)


def merged(parts: Iterable[dict[bytes, bytes]]) -> dict[bytes, bytes]:
    """The entries of all parts, which have no key in common."""
    entries: dict[bytes, bytes] = {}
    for part in parts:
        assert part.keys().isdisjoint(entries)
        entries.update(part)
    return entries


def contents(restored: Restored) -> dict[str, Any]:
    """All that was restored, read through, and the state that it leads to."""
    entries = merged(restored.base)
    batches = list(restored.batches)
    return {
        **restored._asdict(),
        "base": entries,
        "batches": batches,
        "records": {record.id: (record, batch) for record, batch in restored.records},
        "state": run(dict(entries), batches),
    }
