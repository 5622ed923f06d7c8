"""A store that is opened before the node is, because the first start has to know what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from zope.interface import implementer

from epaxos.interfaces import IBackups, Identity, IStateTransfer, IStore, Restored, WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.messages import Batch

__all__ = ["OpenedStore"]


@implementer(IStore)
class OpenedStore:
    """`store`, which `open_early` opens; `open` then hands out what it held.

    `restored` is what it held, None before; the first start adds to it what it has written.
    """

    def __init__(self, store: IStore) -> None:
        self._store = store
        self.persistent: bool = store.persistent
        self.restored: Restored | None = None

    def open_early(self, identity: Identity) -> Restored:
        """Open the store.  Raises as `IStore.open` does."""
        restored: Restored = self._store.open(identity)
        self.restored = restored
        return restored

    def open(self, identity: Identity) -> Restored:
        """See IStore.  It has been opened with the same identity."""
        return self.open_early(identity) if self.restored is None else self.restored

    @property
    def written(self) -> int:
        """See IStore."""
        return int(self._store.written)

    @property
    def wants_state(self) -> bool:
        """See IStore."""
        return bool(self._store.wants_state)

    def write(self, write_set: WriteSet, on_durable: Callable[[], None]) -> None:
        """See IStore."""
        self._store.write(write_set, on_durable)

    def find(self, epoch: int, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
        """See IStore."""
        return self._store.find(epoch, id)

    def held(
        self,
        epoch: int,
        after: InstanceId | None,
        limit: int,
        found: Callable[[list[InstanceId]], None],
    ) -> None:
        """See IStore."""
        self._store.held(epoch, after, limit, found)

    def held_epochs(self) -> list[int]:
        """See IStore."""
        held: list[int] = self._store.held_epochs()
        return held

    def give_back(self, epoch: int) -> None:
        """See IStore."""
        self._store.give_back(epoch)

    @property
    def transfer(self) -> IStateTransfer | None:
        """See IStore."""
        transfer: IStateTransfer | None = self._store.transfer
        return transfer

    @property
    def backups(self) -> IBackups | None:
        """See IStore."""
        backups: IBackups | None = self._store.backups
        return backups

    def close(self) -> Deferred[None]:
        """See IStore."""
        closed: Deferred[None] = self._store.close()
        return closed

    def counters(self) -> Mapping[str, int]:
        """See IStore."""
        counters: Mapping[str, int] = self._store.counters()
        return counters
