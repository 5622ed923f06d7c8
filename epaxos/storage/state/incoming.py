"""The state of another replica, while it is being taken.

    incoming/3.base      what was received of a file of the source, under the name that it has there
    incoming/progress    of which replica it is, and which bytes of each file are checked and synced

The bytes are checked as they come, because the pieces of a file carry a chain of checksums.  The record
`progress` is replaced after each sync, so a restart goes on behind the bytes that it names and cuts off the
rest.  When everything is there the files move to `state/`, under names of this replica, and one write of
the database makes them its state.  A folder whose record does not fit its files was left by a process that
died around that write; the next start removes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from struct import Struct, error
from typing import NamedTuple
from zlib import crc32

from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.folder import sync_folder
from epaxos.storage.gil import let_loop_run
from epaxos.storage.state.names import found_in, part_path
from epaxos.storage.state.pieces import PieceCheck, read_pieces
from epaxos.storage.state.removing import remove_in_steps

__all__ = ["IncomingFiles", "Taken", "read_progress", "remove_left_over"]

TAKEN_SYNC_BYTES = 1 << 20
"""What is taken is synced, and recorded, after this many bytes."""

_UID = Struct(">Q")
_PART = Struct(">QBQI")
_CRC = Struct(">I")


class Taken(NamedTuple):
    """What is checked and synced of the state of the replica with the uid `source`; 0 when there is none."""

    source: int = 0
    parts: tuple[StatePart, ...] = ()


def read_progress(folder: Path) -> Taken:
    """What the record in the folder says; nothing when there is none, or a damaged one.  Raises OSError."""
    try:
        data = _progress_path(folder).read_bytes()
    except FileNotFoundError:
        return Taken()
    body, end = data[: -_CRC.size], data[-_CRC.size :]
    if len(end) != _CRC.size or _CRC.unpack(end) != (crc32(body),):
        return Taken()
    try:
        (source,) = _UID.unpack_from(body)
        found = _PART.iter_unpack(body[_UID.size :])
        return Taken(source, tuple(StatePart(number, bool(base), *rest) for number, base, *rest in found))
    except error:
        return Taken()


def remove_left_over(folder: Path) -> None:
    """Remove the folder unless it holds all that its record names.  Raises OSError."""
    if folder.is_dir() and not _fits(folder, read_progress(folder)):
        shutil.rmtree(folder)


def _fits(folder: Path, taken: Taken) -> bool:
    if not taken.source:
        return False
    try:
        return all(
            part_path(folder, part.generation, part.is_base).stat().st_size >= part.length
            for part in taken.parts
        )
    except FileNotFoundError:
        return False


def _progress_path(folder: Path) -> Path:
    return folder / "progress"


class _File:
    """One file, of which the bytes that `check` has seen are there."""

    def __init__(self, part: StatePart) -> None:
        self.name = (part.generation, part.is_base)
        self.check = PieceCheck(part.length, part.crc)
        self.is_new = not part.length

    @property
    def part(self) -> StatePart:
        """Its whole pieces."""
        return StatePart(*self.name, self.check.length, self.check.crc)


class IncomingFiles:
    """The files in `folder`, for one thread.  With `sync` False nothing is synced.

    All methods block, and raise OSError; after that only `close` may be called.  `taken` is what is checked,
    synced and recorded: another thread may look at it.
    """

    def __init__(self, folder: Path, *, sync: bool) -> None:
        self.taken = Taken()
        self._folder = folder
        self._sync = sync
        self._files: dict[tuple[int, bool], _File] = {}
        self._open: _File | None = None  # the file that is being taken
        self._descriptor = -1
        self._unsynced = 0  # bytes of it
        self._wrong: StatePart | None = None  # what was there when wrong bytes came

    def begin(self, taken: Taken) -> None:
        """Go on behind `taken`.  Everything else in the folder is removed."""
        self.close()
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700)
            self._sync_folder(self._folder.parent)
        self._files = {(part.generation, part.is_base): _File(part) for part in taken.parts}
        self._wrong = None
        # First the record, because it must never name bytes that are not there any more.
        self._record(taken, at_once=True)
        kept = {part_path(self._folder, *name) for name in self._files}
        for path in found_in(self._folder):
            if path not in kept:
                remove_in_steps(path)

    def take(self, generation: int, is_base: bool, offset: int, data: bytes) -> bool:
        """Write bytes of a file.  Returns whether they follow what is there and are good so far.

        If not, the file goes back to its last good piece; to its beginning, when the bytes behind the same
        piece were wrong before, because then the source may have written what is before them anew.
        """
        file = self._opened(generation, is_base)
        if offset != file.check.end:
            return False
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            offset += written
            rest = rest[written:]
        self._unsynced += len(data)
        is_good = file.check.add(data)
        if not is_good:
            self._go_back(file)
        if not is_good or self._unsynced >= TAKEN_SYNC_BYTES:
            self.sync()
        return is_good

    def sync(self) -> None:
        """Make durable what was taken, and record it."""
        file = self._open
        if file is None or not self._unsynced:
            return
        if self._sync:
            os.fdatasync(self._descriptor)
        if file.is_new:
            self._sync_folder(self._folder)
            file.is_new = False
        self._unsynced = 0
        self._record(Taken(self.taken.source, self._parts()))

    def refusal(self, parts: Iterable[StatePart]) -> str:
        """Sync everything, and say what differs from `parts`; empty when all of them are there.

        All bytes are read once more, because what was there before a restart was checked long ago, and a
        state that cannot be read would be the only one.  Files that do not lead to what `parts` say are
        forgotten.
        """
        self.sync()
        self.close()
        wrong: list[str] = []
        for part in parts:
            file = self._files.get((part.generation, part.is_base))
            found = StatePart(part.generation, part.is_base, 0, 0) if file is None else file.part
            path = part_path(self._folder, part.generation, part.is_base)
            if found != part or not part.length:
                why = f"{found.length} bytes of {path.name} are not the {part.length} that were offered"
            elif not _reads(path, part):
                why = f"{path.name} does not hold any more what was taken"
            else:
                continue
            wrong.append(why)
            if file is not None and found.length >= part.length:
                self._forget(file)
        return ", ".join(wrong)

    def clear(self) -> None:
        """Remove the folder and all that is in it."""
        self.close()
        self.taken = Taken()
        self._files = {}
        if not self._folder.is_dir():
            return
        _progress_path(self._folder).unlink(missing_ok=True)
        self._sync_folder(self._folder)
        for path in found_in(self._folder):
            remove_in_steps(path)
        shutil.rmtree(self._folder)

    def close(self) -> None:
        """Close the files as they are; what is not synced counts no more."""
        file, self._open = self._open, None
        if file is not None:
            os.close(self._descriptor)
            self._unsynced = 0
            file.check = PieceCheck(file.check.length, file.check.crc)

    # -- details

    def _path(self, name: tuple[int, bool]) -> Path:
        return part_path(self._folder, *name)

    def _parts(self) -> tuple[StatePart, ...]:
        return tuple(file.part for file in self._files.values() if file.check.length)

    def _opened(self, generation: int, is_base: bool) -> _File:
        """The file, which is open from now on, alone; what is behind its good pieces is cut off."""
        name = (generation, is_base)
        if self._open is not None and self._open.name == name:
            return self._open
        self.sync()
        self.close()
        file = self._files.setdefault(name, _File(StatePart(generation, is_base, 0, 0)))
        self._descriptor = os.open(self._path(name), os.O_WRONLY | os.O_CREAT, 0o600)
        self._open = file
        os.ftruncate(self._descriptor, file.check.length)
        return file

    def _go_back(self, file: _File) -> None:
        good = file.part
        if good == self._wrong:
            self._forget(file)
            good = StatePart(*file.name, 0, 0)
        self._wrong = file.part
        file.check = PieceCheck(good.length, good.crc)
        os.ftruncate(self._descriptor, good.length)

    def _forget(self, file: _File) -> None:
        """The file begins anew.  The record says so before the file is written to again."""
        file.check = PieceCheck()
        self._record(Taken(self.taken.source, self._parts()), at_once=True)

    def _record(self, taken: Taken, at_once: bool = False) -> None:
        """Replace the record.  `at_once`: not even a failure of the host brings back the one before."""
        body = _UID.pack(taken.source) + b"".join(_PART.pack(*part) for part in taken.parts)
        path = _progress_path(self._folder)
        new = path.with_suffix(".new")
        with new.open("wb") as opened:
            opened.write(body + _CRC.pack(crc32(body)))
            opened.flush()
            if self._sync:
                os.fsync(opened.fileno())
        new.replace(path)
        if at_once:
            self._sync_folder(self._folder)
        self.taken = taken

    def _sync_folder(self, path: Path) -> None:
        if self._sync:
            sync_folder(path)


def _reads(path: Path, part: StatePart) -> bool:
    """Whether the file holds what counts of `part`."""
    try:
        with path.open("rb") as file:
            for _ in read_pieces(file, part.length, part.crc):
                let_loop_run()
    except (FileNotFoundError, ValueError):
        return False
    return True
