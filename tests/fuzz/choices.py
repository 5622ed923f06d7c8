"""Bytes as decisions, so that a fuzzer, which knows only bytes, chooses among well-formed values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    AcceptOK,
    Batch,
    Commit,
    Conflict,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    PreAccept,
    PreAcceptOK,
    Read,
    ReadOK,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)
from epaxos.statemachines.columns import encode_commands
from epaxos.statemachines.redis.machine import KeyValueStore

__all__ = ["BATCHES", "KEYS", "Choices"]

LAST = 2**63 - 1
SLOTS = (1, 2, 3, 4, 5, 6, 7, 255, 256, 257, 513, LAST)
BALLOTS = (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, LAST - 2, LAST - 1, LAST)
READS = (0, 1, 2, LAST)
KEYS = ((b"a",), (b"a", b"b"), (b"c", b"c"), ())
_COMMANDS = (
    [[b"SET", b"a", b"1"]],
    [[b"SET", b"b", b"2"], [b"INCR", b"a"]],
    [[b"GET", b"a"]],
    [[b"GET", b"b"], [b"SET", b"c", b""]],
    [[b"MSET", b"a", b"1", b"b", b"2"]],
    [[b"FLUSHALL"]],
)
BATCHES = (
    *map(KeyValueStore().batch, _COMMANDS),
    Batch((b"a", b"a"), (b"a", b"b"), encode_commands(_COMMANDS[0]), 1),
    Batch((), (), encode_commands(_COMMANDS[0]), 1),
)
"""No honest replica proposes the last two: one names a key twice, one leaves out a key."""

T = TypeVar("T")


class Choices:
    """Reads `data` as a sequence of decisions.  When it is used up, every decision is the first choice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> bool:
        """Whether bytes are left."""
        return self._position < len(self._data)

    def byte(self) -> int:
        position, self._position = self._position, self._position + 1
        return self._data[position] if position < len(self._data) else 0

    def below(self, limit: int) -> int:
        return self.byte() % limit

    def of(self, things: Sequence[T]) -> T:
        return things[self.byte() % len(things)]

    def rest(self) -> bytes:
        """All remaining bytes."""
        position, self._position = self._position, len(self._data)
        return self._data[position:]

    def pieces(self, data: bytes) -> list[bytes]:
        """`data` cut into pieces; mostly few, as networks do."""
        sizes = (len(data) or 1, 1, 2, 3, 7, 100)
        cut = []
        while data:
            size = self.of(sizes)
            cut.append(data[:size])
            data = data[size:]
        return cut

    # -- well-formed messages of a cluster of n

    def id(self, n: int) -> InstanceId:
        return InstanceId(self.below(n), self.of(SLOTS))

    def slots(self, n: int) -> Deps:
        """Slots, mostly low ones, so that the instances that they name exist."""
        return tuple(self.of((0, 0, 0, 1, 1, 2, 3, *SLOTS)) for _ in range(n))

    def deps(self, id: InstanceId, n: int) -> Deps:
        slots = list(self.slots(n))
        slots[id.replica] = min(slots[id.replica], id.slot - 1)
        return tuple(slots)

    def fast_quorum(self, id: InstanceId, n: int) -> tuple[int, ...]:
        return tuple(replica for replica in range(n) if replica != id.replica and self.below(2))

    def message(self, n: int) -> Message:
        """Any message that the codec accepts."""
        kind = self.below(14)
        if kind == 0:
            return Heartbeat(self.slots(n), self.slots(n))
        if kind == 1:
            return Fetch(tuple(self.id(n) for _ in range(self.below(4))))
        if kind == 12:
            return Read(self.of(READS), self.of(KEYS))
        if kind == 13:
            return ReadOK(self.of(READS), self.slots(n))
        id, ballot = self.id(n), self.of(BALLOTS)
        if kind == 2:
            return PreAccept(id, self.of(BATCHES), self.deps(id, n), self.fast_quorum(id, n))
        if kind == 3:
            return PreAcceptOK(id, self.deps(id, n))
        if kind == 4:
            return Accept(id, ballot, self.of((None, NOP, *BATCHES)), self.deps(id, n))
        if kind == 5:
            return AcceptOK(id, ballot)
        if kind == 6:
            return Commit(id, ballot, self.of((None, NOP, *BATCHES)), self.deps(id, n))
        if kind == 7:
            return Recover(id, ballot)
        if kind == 8:
            return self._recover_ok(id, ballot, n)
        if kind == 9:
            return Validate(id, ballot, self.of(BATCHES), self.deps(id, n))
        if kind == 10:
            conflicts = tuple(Conflict(self.id(n), bool(self.below(2))) for _ in range(self.below(4)))
            return ValidateOK(id, ballot, conflicts)
        return Waiting(id, self.below(n + 1))

    def _recover_ok(self, id: InstanceId, ballot: int, n: int) -> RecoverOK:
        phase = self.of(tuple(Phase))
        deps = self.deps(id, n)
        batch: Batch | None = self.of(BATCHES)
        init_deps: Deps | None = self.of((deps, self.deps(id, n)))
        if phase is Phase.INITIAL:
            batch = self.of((None, NOP, batch))
        if phase >= Phase.ACCEPTED:
            batch = self.of((NOP, batch))
        if phase is not Phase.PREACCEPTED:
            init_deps = self.of((None, init_deps))
        quorum = self.fast_quorum(id, n)
        return RecoverOK(id, ballot, self.of(BALLOTS), phase, batch, deps, init_deps, quorum)
