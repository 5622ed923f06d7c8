"""The durable memory of a replica."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from zope.interface import Attribute, Interface

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.membership import Membership
from epaxos.protocol.values.messages import Batch

if TYPE_CHECKING:  # the core and execution/ see this package, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = [
    "Checkpoint",
    "EpochRecord",
    "IStore",
    "Identity",
    "OutdatedError",
    "Restored",
    "StoreError",
    "WriteSet",
    "WrongDataError",
]


class StoreError(Exception):
    """The disk cannot be used: it is locked, damaged or full, or holds other data.  The text is one line for
    the operator."""


class WrongDataError(StoreError):
    """The data is damaged, or of another replica or cluster: a restart does not help."""


class OutdatedError(StoreError):
    """The data is of a later version than this program can do: it has to be upgraded."""


class Identity(NamedTuple):
    """The owner of the data of a store, which refuses to be opened with another identity.

    `epoch` are the first members of the cluster; once the store is in a later epoch, it makes no difference
    any more.  That of a replica which joins is `Epoch.none()`.
    """

    cluster: str
    replica: int
    epoch: Epoch
    state_machine: str


class Checkpoint(NamedTuple):
    """What was executed: all instances up to `executed`, and those of `beyond`.

    `batches`: those that were applied since the last checkpoint and may have changed the state, in
    their order; `state`: the whole state after them, for a store that wants it (`IStore.wants_state`).
    """

    executed: Deps
    beyond: tuple[InstanceId, ...]
    batches: Sequence[tuple[InstanceId, Batch]]
    state: Iterable[tuple[bytes, bytes]] | None = None


class EpochRecord(NamedTuple):
    """How an epoch began: its members, and those of the epoch before it, which the instance `opened_by`
    ended.

    Of the epoch before, every instance up to `committed` is held here, until all members are in this one, or
    until this one has ended, too.  It is all zeros where not everything that ran in that epoch is held,
    because this replica has installed a state.
    """

    membership: Membership
    previous: Membership
    opened_by: InstanceId
    committed: Deps


@dataclass
class WriteSet:
    """What one turn of a replica writes, all or nothing.

    All of it belongs to epoch `epoch`.  `opened`: this epoch begins; it has neither instances nor a
    reservation yet, and its checkpoint holds what the epochs before it have executed.
    `batches`: proposed batches, each written once; `records`: the newest record of each instance;
    `reserved`: the highest slot of the own row that may be used from now on; `floor`: per row, the slot up
    to which every member has executed everything, and `dropped` the instances to delete because of it;
    `founded`: the first members of the cluster, written once, before this replica votes; `sync`: the
    caller waits until the records are durable; `backup`: only with `opened`, the name of a backup to be made
    of the state at the beginning of this epoch, which was prepared before (`IBackups`).
    """

    batches: list[tuple[InstanceId, Batch]] = field(default_factory=list)
    records: list[InstanceRecord] = field(default_factory=list)
    reserved: int | None = None
    floor: Deps | None = None
    dropped: list[InstanceId] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    sync: bool = False
    epoch: int = 0
    opened: EpochRecord | None = None
    founded: Membership | None = None
    backup: str = ""

    def __bool__(self) -> bool:
        return bool(
            self.batches
            or self.records
            or self.dropped
            or self.reserved is not None
            or self.floor is not None
            or self.checkpoint is not None
            or self.opened is not None
            or self.founded is not None
        )


class Restored(NamedTuple):
    """What a store held when it was opened.  A new store is `fresh`: every number is 0, the rest is empty.

    The state is that of `base`, the entries of a whole state in parts, after the `batches`.  The opener
    iterates over `records`, `base` and `batches` once each, before its first write; the iterators raise
    StoreError.  A part belongs to the opener.

    Everything belongs to the newest epoch: the one that `opened` began, or epoch 0 when it is None.
    `uid` is the random number that was made with the data, never 0 where there is one.  `founded` are the
    first members of the cluster, None when this store was never told.  `unfounded`: the store is waiting to
    be told, because its replica has neither voted nor heard who belongs to the cluster.  `past`: the lists of
    members that began here, the oldest first, at most the last 100.
    """

    fresh: bool
    reserved: int
    floor: Deps
    executed: Deps
    beyond: tuple[InstanceId, ...]
    records: Iterable[tuple[InstanceRecord, Batch | None]]
    base: Iterable[dict[bytes, bytes]]
    batches: Iterable[tuple[InstanceId, Batch]]
    opened: EpochRecord | None = None
    uid: int = 0
    founded: Membership | None = None
    unfounded: bool = False
    past: tuple[Membership, ...] = ()


class IStore(Interface):
    """The durable memory of one replica."""

    persistent = Attribute("bool: whether a restart finds anything.")
    wants_state = Attribute(
        "bool: whether the next checkpoint should bring the whole state, so that older batches can go."
    )

    transfer = Attribute(
        "IStateTransfer, or None when the store keeps nothing: then it can neither give a state nor take one."
    )

    backups = Attribute("IBackups, or None when the store keeps nothing: then there is nothing to back up.")

    written = Attribute(
        "int: the number of the newest write that is durable.  It never falls, over restarts as well, while "
        "the data is the same."
    )

    def open(identity: Identity) -> Restored:
        """Open the store, and create what is missing.  Blocks.

        Raises StoreError when it is locked, and WrongDataError when it is damaged or of another identity:
        nothing of what it holds is silently ignored.
        """

    def write(write_set: WriteSet, on_durable: Callable[[], None]) -> None:
        """Write, in the order of the calls.  Never blocks.

        `on_durable` is called, in the same order, once this and every earlier write set is on disk: synced,
        when this one or a later one that is written with it asks for `sync`; otherwise when the operating
        system has it.  A write set that does not ask for `sync` may wait for one that does, or for `close`.
        An empty write set is a marker of its place in the order.  `on_durable` may be called before `write`
        returns.

        Raises nothing when the disk fails: a failure is reported once, to the callable that the store was
        built with, and from then on `on_durable` of no write set is called.
        """

    def find(epoch: int, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
        """The record and the batch of an instance of the newest epoch that is durable, or of the one before;
        None when it is not held.

        Only what was durable when the next epoch was opened is found.  Blocks for less than a millisecond.
        Raises StoreError.
        """

    def held(
        epoch: int, after: InstanceId | None, limit: int, found: Callable[[list[InstanceId]], None]
    ) -> None:
        """Find the next instances, at most `limit`, that are held of an epoch that has ended, in their order.

        `found` gets them in the event loop, perhaps before `held` returns, and not after `close`.  Never
        blocks: about a millisecond passes for each 1000 of them, and for each 1000 before them that were
        deleted lately.  When they cannot be read, that is reported as a failure of a write is.
        """

    def held_epochs() -> list[int]:
        """The epochs that have ended and of which any instance is held, the oldest first.  For the start.

        Blocks for less than a millisecond, and about a millisecond more for each 1000 instances that were
        deleted since it was called last.  Raises StoreError.
        """

    def give_back(epoch: int) -> None:
        """All instances of this epoch and of those before it are deleted: let the disk have their room again,
        in time.  Never blocks."""

    def close() -> Deferred[None]:
        """Write and sync all write sets, then close.  The Deferred fires when that is done, or when the disk
        has failed."""

    def counters() -> Mapping[str, int]:
        """`store_writes`, `store_syncs`, `store_bytes` since the start; `store_queue`: write sets waiting."""
