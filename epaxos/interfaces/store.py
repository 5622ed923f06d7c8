"""The durable memory of a replica."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from zope.interface import Attribute, Interface

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.messages import Batch

if TYPE_CHECKING:  # the core and execution/ see this package, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = ["Checkpoint", "IStore", "Identity", "Restored", "StoreError", "WriteSet"]


class StoreError(Exception):
    """The disk is not what it should be; the text is for the operator, one line."""


class Identity(NamedTuple):
    """Whose data this is.  A store opened by another identity refuses."""

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


@dataclass
class WriteSet:
    """What one turn of a replica writes, all or nothing.

    `batches`: proposed batches, each written once; `records`: the newest record of each instance;
    `reserved`: the highest slot of the own row that may be used from now on; `floor`: everything up
    to it was executed by every member and `dropped` are the instances to delete for it;
    `sync`: somebody waits for the records to be durable.
    """

    batches: list[tuple[InstanceId, Batch]] = field(default_factory=list)
    records: list[InstanceRecord] = field(default_factory=list)
    reserved: int | None = None
    floor: Deps | None = None
    dropped: list[InstanceId] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    sync: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.batches
            or self.records
            or self.dropped
            or self.reserved is not None
            or self.floor is not None
            or self.checkpoint is not None
        )


class Restored(NamedTuple):
    """What a store held when it was opened; for a new store: nothing (`fresh`), zeros and empty.

    The state is that of `base`, the entries of a whole state in parts, after the `batches`.  All three are
    iterated once, by the opener, before the first write, and raise StoreError; a part is the opener's own.
    """

    fresh: bool
    reserved: int
    floor: Deps
    executed: Deps
    beyond: tuple[InstanceId, ...]
    records: Iterable[tuple[InstanceRecord, Batch | None]]
    base: Iterable[dict[bytes, bytes]]
    batches: Iterable[tuple[InstanceId, Batch]]


class IStore(Interface):
    """The durable memory of one replica."""

    persistent = Attribute("bool: whether a restart finds anything.")
    wants_state = Attribute(
        "bool: whether the next checkpoint should bring the whole state, so that older batches can go."
    )

    def open(identity: Identity) -> Restored:
        """Open, and create what is missing.  Blocks.  Raises StoreError: locked, damaged, or of
        another identity.  Nothing of what was there is ever silently ignored."""

    def write(write_set: WriteSet, durable: Callable[[], None]) -> None:
        """Write in the order of the calls; never blocks.  `durable` is called, in the same order,
        once this and every earlier write set is on disk (synced, when this one or a later one
        written with it asks for `sync`; otherwise when the operating system has it).  What does not
        ask for `sync` may wait for one that does, or for `close`.

        An empty write set is a pure marker.  `durable` may be called before `write` returns.
        A failure is reported once, to the callable that the store was built with, and from then
        on nothing is ever reported durable.
        """

    def close() -> Deferred[None]:
        """Write and sync what was given, then close.  Fires when done."""

    def counters() -> Mapping[str, int]:
        """`store_writes`, `store_syncs`, `store_bytes`, `store_queue`."""
