"""The state of the state machine, in files that are only appended to.

    state/3.base    the whole state when generation 3 began
    state/3.log     the batches that were executed since then, appended with every checkpoint

A record in the database (`StateParts`), written in one step with how far execution is, says which
part of which files is the state.  That part was synced before, is checked when it is read, and is
never written again; what lies behind it was never referred to, and is cut off.  So it does no harm
when the newest records are lost: older ones refer to less of the same files, or to older files, and a
file goes only when a record that does without it is durable.

When the log has outgrown the base, the next generation begins: batches go to its log, while its base
is written bit by bit, as the log grows and as time passes.  Until that is whole, the state is the last
whole base and all batches since.  A base that was not finished when the process ended is given up; the
next one has a generation of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from epaxos.interfaces import StoreError
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.storage.gil import let_loop_run
from epaxos.storage.leveldb.records import Part, StateParts
from epaxos.storage.state.piece_file import PieceFile, read_part
from epaxos.storage.state.pieces import (
    decode_batches,
    decode_entries,
    encode_batches,
    encode_entries,
)

__all__ = ["StateFiles", "read_base", "read_logs"]

LOG_BYTES_MIN = 4 << 20
"""A base is made when the log takes as much as the last one, and at least so much."""
PACE = 4
"""A base is written this much faster than the log grows meanwhile.  So the log, which a start goes through,
takes 1.25 times as much as the base at the most; and for three quarters of the time no base is written."""
OWED_SHARE = 32 * PACE
"""Of a base this part of what should be there by now is written at a time."""
SYNCED_BYTES = 1 << 20
"""A base is synced so often while it is made: all of it at once could hold up promises for seconds."""
REMOVED_BYTES = 8 << 20
"""What is removed of files at a time: it takes 0.3 ms a MB, and promises wait for it."""

_NAME = re.compile(r"(0|[1-9][0-9]{0,17})\.(base|log)")


def _base(folder: Path, generation: int) -> Path:
    return folder / f"{generation}.base"


def _log(folder: Path, generation: int) -> Path:
    return folder / f"{generation}.log"


def read_base(folder: Path, parts: StateParts) -> Iterator[dict[bytes, bytes]]:
    """The entries of the base, in parts.  Raises StoreError when anything of it is missing or damaged."""
    return map(dict, read_part(_base(folder, parts.base.generation), parts.base, decode_entries))


def read_logs(folder: Path, parts: StateParts) -> Iterator[tuple[InstanceId, Batch]]:
    """What was executed since then, in order.  Raises StoreError as `read_base` does."""
    for part in parts.logs:
        yield from chain.from_iterable(read_part(_log(folder, part.generation), part, _batches))


def _batches(payload: bytes) -> list[tuple[InstanceId, Batch]]:
    """Decoded at once: what is damaged is found while it is read."""
    return list(decode_batches(payload))


class _NewBase:
    """A base that is being written."""

    def __init__(self, file: PieceFile, state: Iterable[tuple[bytes, bytes]]) -> None:
        self.file = file
        self.pieces = encode_entries(state)


class StateFiles:
    """The files in `folder`, of which `parts` are the state.  With `sync` False nothing is synced.

    All methods block, and raise OSError; nothing may be done after that but `close`.
    """

    def __init__(self, folder: Path, parts: StateParts, *, sync: bool) -> None:
        self.bytes = 0
        self._folder = folder
        self._sync = sync
        self._base = parts.base
        self._older = list(parts.logs[:-1])
        newest = parts.logs[-1] if parts.logs else Part(parts.base.generation)
        self._log = self._log_file(newest)
        self._new_base: _NewBase | None = None
        self._recorded = True
        self._unneeded: list[Path] = []  # by what is to be recorded next
        self._removable = self._left_over()  # nor by what is recorded
        self._generation = max([newest.generation, *(int(path.stem) for path in self._removable)])

    def _left_over(self) -> list[Path]:
        """Files of which nothing counts."""
        counts = {self._log.path, *(_log(self._folder, part.generation) for part in self._older)}
        if self._base.length:
            counts.add(_base(self._folder, self._base.generation))
        try:
            found = sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be read: {error.strerror}") from None
        return [path for path in found if path not in counts]

    def _log_file(self, part: Part) -> PieceFile:
        return PieceFile(_log(self._folder, part.generation), part, self._sync)

    def _next_generation(self) -> int:
        """One of which there never was a file."""
        self._generation += 1
        return self._generation

    # -- what is written

    @property
    def wants_state(self) -> bool:
        """Whether the next batches should bring the whole state."""
        return self._new_base is None and self._log_bytes() >= self._threshold()

    def _threshold(self) -> int:
        return max(self._base.length, LOG_BYTES_MIN)

    def _log_bytes(self) -> int:
        return sum(part.length for part in self._older) + self._log.part.length

    def add(
        self, batches: Iterable[tuple[InstanceId, Batch]], state: Iterable[tuple[bytes, bytes]] | None
    ) -> None:
        """Append the batches.  `state` is what they lead to; a new base is made of it."""
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
        """Whether there is something to do even when no batch comes: a base to write, or to record."""
        return self._new_base is not None or not self._recorded

    @property
    def recorded(self) -> bool:
        """Whether `settle` would say what it has said."""
        return self._recorded

    def settle(self) -> StateParts | None:
        """Sync what was appended: what has to be recorded now, or None when it is what it was."""
        if self._recorded:
            return None
        self._log.sync()
        self._recorded = True
        self._removable += self._unneeded
        self._unneeded = []
        parts = [part for part in (*self._older, self._log.part) if part.length]
        return StateParts(self._base, tuple(parts))

    def remove_unneeded(self) -> bool:
        """What was recorded is durable: remove some of the files that it does without.

        Returns whether there is more to remove.  A long file is made shorter first, bit by bit.
        """
        left = REMOVED_BYTES
        while self._removable and left > 0:
            path = self._removable[-1]
            with suppress(FileNotFoundError):
                size = path.stat().st_size
                if size > left:
                    os.truncate(path, size - left)
                    return True
                path.unlink()
                left -= size
            self._removable.pop()
        return bool(self._removable)

    def close(self) -> None:
        """Close the files, as they are."""
        self._log.close()
        if self._new_base is not None:
            self._new_base.file.close()

    # -- generations

    def _begin_base(self, state: Iterable[tuple[bytes, bytes]]) -> None:
        """The batches so far lead to the state; those that come are of a new generation."""
        self._log.sync()
        self._log.close()
        if self._log.part.length:
            self._older.append(self._log.part)
        generation = self._next_generation()
        self._log = self._log_file(Part(generation))
        file = PieceFile(_base(self._folder, generation), Part(generation), self._sync)
        self._new_base = _NewBase(file, state)

    def go_on(self, least: int = 0) -> bool:
        """Write some of a new base, as long as there is less of it than PACE times the log beyond the
        threshold; and `least` bytes whether there is or not.

        Returns whether it is still so.  It is a piece, or a part of what is owed, as promises wait for
        it.  The log may be longer than what was written since the base was begun, when others were
        given up before.
        """
        new = self._new_base
        if new is None:
            return False
        owed = self._owed(new)
        if owed > 0:
            least = max(least, owed // OWED_SHARE, 1)
        end = new.file.part.length + least
        while new.file.part.length < end:
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
        return PACE * (self._log_bytes() - self._threshold()) - new.file.part.length

    def _finish_base(self, file: PieceFile) -> None:
        """The base is whole; the batches before it have no use any more once that is recorded."""
        file.sync()
        file.close()
        self._new_base = None
        self._replace_base(file.part)
        self._recorded = False

    def _replace_base(self, base: Part) -> None:
        """All files but those of its generation have no use any more."""
        self._unneeded.append(_base(self._folder, self._base.generation))
        self._unneeded += [_log(self._folder, part.generation) for part in self._older]
        self._base = base
        self._older = []
