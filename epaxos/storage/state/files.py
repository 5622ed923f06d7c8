"""The state of the state machine, in files that are only appended to.

    state/3.base    the whole state when generation 3 began
    state/3.log     the batches that were executed since then, appended with every checkpoint

The manifest, a record in the database, says which files are the state, and how many bytes of each count.
These bytes were synced before, are checked when they are read, and are never written again.  Whatever
lies behind them was never referred to, and is cut off.  So the loss of the newest records does no harm:
older ones refer to less of the same files, or to older files, and a file is removed only when a manifest
that does without it is durable.

When the log has outgrown the base, the next generation begins: batches go to its log, while its base is
written in small steps, as the log grows and as time passes.  Until that base is whole, the state is the
last whole base and all batches since.  A base that was not whole when the process ended is given up; the
next one has a generation of its own.

A backup is made of links to these files.  So a log ends where a backup is made (`cut`), and a file that has
another link is neither written to nor shortened any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from epaxos.interfaces import StoreError
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.folder import sync_folder
from epaxos.storage.gil import let_loop_run
from epaxos.storage.state.manifest import Manifest, StateFile
from epaxos.storage.state.names import base_path, bytes_freed, found_in, links_of, log_path, part_path
from epaxos.storage.state.piece_file import PieceFile
from epaxos.storage.state.pieces import encode_batches, encode_entries
from epaxos.storage.state.pins import Pins

__all__ = ["StateFiles"]

LOG_BYTES_MIN = 4 << 20
"""A new base is due when the log has as many bytes as the last base, and at least this many."""
PACE = 4
"""How many bytes of a base are written for each byte by which the log grows meanwhile.

So the log, which a start reads, has at most 1.25 times as many bytes as the base; and for three quarters
of the time no base is written."""
OWED_SHARE = 32 * PACE
"""One step writes the owed bytes of a base divided by this."""
SYNCED_BYTES = 1 << 20
"""A base is synced after this many bytes, because a sync of the whole could hold up promises for seconds."""
REMOVED_BYTES = 8 << 20
"""The most bytes of files that one step removes.  It takes 0.3 ms for each MB, and promises wait for it."""
LOGS_MAX = 64
"""The most logs behind a base, each of which a backup has ended; with more, a new base is due."""
PINNED_BYTES_MAX = 1 << 30
"""The most bytes, beside those of two bases, of files that are kept only for replicas that take the state."""


class _NewBase:
    """A base that is being written."""

    def __init__(self, file: PieceFile, state: Iterable[tuple[bytes, bytes]]) -> None:
        self.file = file
        self.pieces = encode_entries(state)


class StateFiles:
    """The files in `folder`, which are the state as `manifest` says.  With `sync` False nothing is synced.

    Files of which `pins` says that another replica reads them are removed later.
    All methods block, and raise OSError; after that only `close` may be called.
    """

    def __init__(self, folder: Path, manifest: Manifest, *, sync: bool, pins: Pins | None = None) -> None:
        self.bytes = 0
        self._pins = Pins() if pins is None else pins
        self._pinned: list[Path] = []  # they could be removed if they were not pinned
        self._folder = folder
        self._sync = sync
        self._base = manifest.base
        self._older = list(manifest.logs[:-1])
        newest = manifest.logs[-1] if manifest.logs else StateFile(manifest.base.generation)
        self._log = self._log_file(newest)
        self._new_base: _NewBase | None = None
        self._recorded = True
        self._unneeded: list[Path] = []  # the next manifest does without them
        self._removable = self._left_over()  # the durable manifest does without them, too
        self._generation = max([newest.generation, *(int(path.stem) for path in self._removable)])
        if links_of(self._log.path) > 1:
            self._begin_log()

    def _left_over(self) -> list[Path]:
        """The files of which nothing counts."""
        counts = {self._log.path, *(log_path(self._folder, file.generation) for file in self._older)}
        if self._base.length:
            counts.add(base_path(self._folder, self._base.generation))
        try:
            return [path for path in found_in(self._folder) if path not in counts]
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be read: {error.strerror}") from None

    def _log_file(self, counts: StateFile) -> PieceFile:
        return PieceFile(log_path(self._folder, counts.generation), counts, self._sync)

    def _next_generation(self) -> int:
        """A generation that never had a file."""
        self._generation += 1
        return self._generation

    # -- backups

    def cut(self) -> Manifest:
        """End the log here.  Returns the files of the state so far, which are synced and never written to
        again."""
        self._log.sync()
        if self._log.counts.length:
            self._begin_log()
        return Manifest(self._base, tuple(self._older))

    def _begin_log(self) -> None:
        """From now on batches go to the log of a new generation."""
        self._log.close()
        if self._log.counts.length:
            self._older.append(self._log.counts)
        self._log = self._log_file(StateFile(self._next_generation()))

    # -- writing

    @property
    def wants_state(self) -> bool:
        """Whether the next batches should bring the whole state."""
        is_due = self._log_bytes() >= self._threshold() or len(self._older) >= LOGS_MAX
        return self._new_base is None and is_due

    def _threshold(self) -> int:
        return max(self._base.length, LOG_BYTES_MIN)

    def _log_bytes(self) -> int:
        return sum(file.length for file in self._older) + self._log.counts.length

    def add(
        self, batches: Iterable[tuple[InstanceId, Batch]], state: Iterable[tuple[bytes, bytes]] | None
    ) -> None:
        """Append the batches.  A new base is made of `state`, the state after them, if it is given."""
        written = 0
        for payload in encode_batches(batches):
            if written:
                let_loop_run()
            written += self._log.append(payload)
        self.bytes += written
        self._recorded = False
        if self._new_base is None and state is not None:
            self._begin_base(state)

    @property
    def unfinished(self) -> bool:
        """Whether there is a base to write or to record, even when no batch comes."""
        return self._new_base is not None or not self._recorded

    @property
    def recorded(self) -> bool:
        """Whether the manifest is the one that `settle` returned last."""
        return self._recorded

    def settle(self) -> Manifest | None:
        """Sync what was appended.  Returns the manifest to record, or None when it has not changed."""
        if self._recorded:
            return None
        self._log.sync()
        self._recorded = True
        self._removable += self._unneeded
        self._unneeded = []
        logs = [file for file in (*self._older, self._log.counts) if file.length]
        return Manifest(self._base, tuple(logs))

    def remove_unneeded(self) -> bool:
        """Remove some of the files that the manifest does without.  To be called when it is durable.

        Returns whether there is more to remove.  A long file is made shorter first, in steps, unless a backup
        has it, too: then only the name goes, which takes no time.
        """
        if self._removable or self._pinned:
            self._leave_pinned()
        left = REMOVED_BYTES
        while self._removable and left > 0:
            path = self._removable[-1]
            with suppress(FileNotFoundError):
                size = bytes_freed(path)
                if size > left:
                    os.truncate(path, size - left)
                    return True
                path.unlink()
                left -= size
            self._removable.pop()
        return bool(self._removable)

    def _leave_pinned(self) -> None:
        """Part the files that can be removed from those that are pinned.

        No pin is made of a file that can be removed, because an offer names those of the durable manifest.
        """
        files = [*self._pinned, *self._removable]
        pinned = self._pins.pinned(files)
        if sum(map(_size, pinned)) > 2 * self._base.length + PINNED_BYTES_MAX:
            self._pins.release(pinned)
            pinned = set()
        self._pinned = [path for path in files if path in pinned]
        self._removable = [path for path in files if path not in pinned]

    @property
    def pinned_s(self) -> float | None:
        """The seconds until files may have to be removed because a pin ends; None when none are kept."""
        return self._pins.next_end_s() if self._pinned else None

    def install(self, folder: Path, parts: Iterable[StatePart]) -> Manifest:
        """The files of `folder` that `parts` name become the state.  Returns the manifest to record.

        They move under names that never were here.  Until the manifest is recorded the state is the one
        before, and the next start removes the files.  Nothing may be added any more.
        """
        self.close()
        logs: list[StateFile] = []
        base = StateFile(self._next_generation())
        for part in parts:
            here = base.generation if part.is_base or not logs else self._next_generation()
            counts = StateFile(here, part.length, part.crc)
            if part.is_base:
                base = counts
            else:
                logs.append(counts)
            os.rename(
                part_path(folder, part.generation, part.is_base), part_path(self._folder, here, part.is_base)
            )
        if self._sync:
            sync_folder(self._folder)
        return Manifest(base, tuple(logs))

    def close(self) -> None:
        """Close the files as they are."""
        self._log.close()
        if self._new_base is not None:
            self._new_base.file.close()

    # -- generations

    def _begin_base(self, state: Iterable[tuple[bytes, bytes]]) -> None:
        """Begin a generation: the batches so far lead to `state`, and those that come are its log."""
        self._log.sync()
        self._begin_log()
        generation = self._log.counts.generation
        file = PieceFile(base_path(self._folder, generation), StateFile(generation), self._sync)
        self._new_base = _NewBase(file, state)

    def go_on(self, least: int = 0) -> bool:
        """Write a share of the bytes that are owed of a new base, and at least `least` bytes.

        PACE bytes are owed for each byte of log beyond the threshold.  One call writes a piece, or a share
        of the owed bytes, because promises wait for it.  The log may have grown more than since the base was
        begun, when bases before it were given up.

        Returns whether more is owed.
        """
        new = self._new_base
        if new is None:
            return False
        owed = self._owed(new)
        if owed > 0:
            least = max(least, owed // OWED_SHARE, 1)
        end = new.file.counts.length + least
        while new.file.counts.length < end:
            payload = next(new.pieces, None)
            if payload is None:
                self._finish_base(new.file)
                return False
            self.bytes += new.file.append(payload)
            let_loop_run()
        if new.file.unsynced >= SYNCED_BYTES:
            new.file.sync()
        return self._owed(new) > 0

    def _owed(self, new: _NewBase) -> int:
        return PACE * (self._log_bytes() - self._threshold()) - new.file.counts.length

    def _finish_base(self, file: PieceFile) -> None:
        """The base is whole.  Once that is recorded, the batches before it have no use any more."""
        file.sync()
        file.close()
        self._new_base = None
        self._replace_base(file.counts)
        self._recorded = False

    def _replace_base(self, base: StateFile) -> None:
        """No file of a generation before that of the base has any use."""
        before = [file for file in self._older if file.generation < base.generation]
        self._unneeded.append(base_path(self._folder, self._base.generation))
        self._unneeded += [log_path(self._folder, file.generation) for file in before]
        self._base = base
        self._older = self._older[len(before) :]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
