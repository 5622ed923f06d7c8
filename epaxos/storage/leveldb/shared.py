"""What the event loop and the writer's thread share: the writer, the lock on it, and whether it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from epaxos.interfaces import WriteSet
from epaxos.protocol.values.transfer import StateOffer
from epaxos.storage.folder import DataFolder
from epaxos.storage.leveldb.opening import text_of
from epaxos.storage.leveldb.writer import GroupWriter

__all__ = ["Item", "SharedWriter"]

Item = tuple[WriteSet, Callable[[], None]]
"""A write set, and whom to call when it is durable."""


class SharedWriter:
    """The writer of an open store.  Only who holds `lock` may use it.

    `is_over`: a write failed, or another state was installed, so nothing may be written any more.  Either
    thread may set it at any time; it is never reset.  `written`: the number of the newest write that is
    durable.
    """

    def __init__(self, writer: GroupWriter, folder: DataFolder) -> None:
        self.writer = writer
        self.lock = Lock()
        self.is_over = False
        # LevelDB makes tables of its logs when it is opened, so all that it holds then is durable.
        self.written = writer.sequence.last
        self._folder = folder

    def write(self, group: Sequence[Item], sync: bool) -> None:
        """Write the group in one step; sync it when `sync` is true or a write set asks for it.

        Raises engine.Error, OSError.
        """
        write_sets = [write_set for write_set, _ in group]
        if self.writer.write(write_sets, sync or any(write_set.sync for write_set in write_sets)):
            self.written = self.writer.sequence.last
            self._folder.set_synced(self.written)

    def install(self, offer: StateOffer, incoming: Path) -> None:
        """Become `offer`, whose files are in the folder `incoming`, durably.  Nothing is written after it, or
        after it has failed.

        Raises engine.Error, OSError.
        """
        self.is_over = True
        self.writer.install(offer, incoming)
        self.written = self.writer.sequence.last
        self._folder.set_synced(self.written)

    def progress(self) -> tuple[dict[str, int], bool]:
        """The counters of the writer, and whether the next checkpoint should bring the whole state."""
        writer = self.writer
        counters = {
            "store_writes": writer.writes,
            "store_syncs": writer.syncs,
            "store_bytes": writer.bytes,
        }
        return counters, writer.wants_state

    def failure(self, error: BaseException) -> str:
        """What to tell the operator about a write that raised `error`."""
        return f"{self._folder.path} cannot be written: {text_of(error)}"
