"""A store that keeps nothing, for tests and for clusters that may be lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import randbelow

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from epaxos.interfaces import Identity, IStore, Restored, WriteSet
from epaxos.protocol.values.ids import InstanceId, no_deps
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.membership import UID_LIMIT
from epaxos.protocol.values.messages import Batch

__all__ = ["MemoryStore"]


@implementer(IStore)
class MemoryStore:
    """`engine = memory`: everything counts as durable at once, until the process ends.

    The replica's own memory is the only copy, so a replica that restarts has forgotten what it promised.
    It must not take part under its old number again, and a new member must take its place.  Each process
    has a uid of its own, so the others refuse a replica that comes back.

    `write` calls `durable` before it returns, so the caller's own state has to be consistent when it calls
    `write`.  A `write` inside a `durable` is done at once, inside the outer one.
    """

    persistent = False
    wants_state = False
    transfer = None
    backups = None

    def __init__(self) -> None:
        self._open = False
        self._writes = 0

    def open(self, identity: Identity) -> Restored:
        """See IStore: always a new store."""
        self._open = True
        nothing = no_deps(identity.epoch)
        uid = 1 + randbelow(UID_LIMIT - 1)
        return Restored(True, 0, nothing, nothing, (), (), (), (), uid=uid, unfounded=True)

    @property
    def written(self) -> int:
        """See IStore."""
        return self._writes

    def write(self, write_set: WriteSet, durable: Callable[[], None]) -> None:
        """See IStore.  After `close` nothing is reported durable."""
        if self._open:
            self._writes += bool(write_set)
            durable()

    def find(self, epoch: int, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
        """See IStore: nothing is kept."""
        return None

    def held(
        self,
        epoch: int,
        after: InstanceId | None,
        limit: int,
        found: Callable[[list[InstanceId]], None],
    ) -> None:
        """See IStore: nothing is kept."""
        found([])

    def held_epochs(self) -> list[int]:
        """See IStore: nothing is kept."""
        return []

    def give_back(self, epoch: int) -> None:
        """See IStore: there is nothing."""

    def close(self) -> Deferred[None]:
        """See IStore."""
        self._open = False
        return succeed(None)

    def counters(self) -> Mapping[str, int]:
        """See IStore."""
        return {"store_writes": self._writes, "store_syncs": 0, "store_bytes": 0, "store_queue": 0}
