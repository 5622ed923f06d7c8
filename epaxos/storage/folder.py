"""The data folder of a replica: how it is made and locked, and the files in it beside the database.

    data/0/          mode 0700, locked by the process that has the store open
        db/          the database; `db.new` while it is being made
        state/       the state of the state machine (`state/files.py`)
        incoming/    the state of another replica, while it is being taken (`state/incoming.py`)
        backups/     backups of the state (`backup/folder.py`)
        synced       the number of writes that the database must hold at least
        *.torn       what was cut off a log (`leveldb/torn_log.py`)

A database is made as `db.new` and gets its name when it is whole.  So a `db` that is missing while `synced`
is there was lost; it is never taken for a new store.  `state` is made after `db`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from epaxos.interfaces import StoreError, WrongDataError

__all__ = ["DataFolder", "is_in_use", "sync_folder"]

_SLOT_SIZE = 12
_SLOT_DISTANCE = 512  # a sector, so that the two slots are never torn together
_UNRELATED = {"lost+found"}  # an empty file system may be mounted as a data folder


def sync_folder(path: Path) -> None:
    """Make durable which files the folder holds.  Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_in_use(path: Path) -> bool:
    """Whether some process has the store in this folder open.  Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class DataFolder:
    """One data folder.  All methods but `set_synced` raise StoreError for whatever the operator must know."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.database = self.path / "db"
        self.state = self.path / "state"
        self.incoming = self.path / "incoming"
        self.backups = self.path / "backups"
        self._new_database = self.path / "db.new"
        self._synced_path = self.path / "synced"
        self._lock: int | None = None
        self._synced: int | None = None

    def lock(self) -> None:
        """Make the folder if it is missing, and lock it until `close`."""
        try:
            if not self.path.is_dir():
                self.path.mkdir(mode=0o700, parents=True)
                sync_folder(self.path.parent)
            self._lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StoreError(f"{self.path} is in use by another process") from None
        except FileExistsError:
            raise StoreError(f"{self.path} is not a folder") from None
        except OSError as error:
            self.close()
            raise StoreError(f"{self.path} cannot be opened: {error.strerror}") from None

    def holds_database(self) -> bool:
        """Whether the folder holds a database.  If not, one has to be made.

        Raises StoreError when a file of a database is missing, and when the folder has foreign files.
        """
        try:
            names = set(os.listdir(self.path)) - _UNRELATED
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from None
        if "db" in names:
            if "synced" not in names:
                raise WrongDataError(f"{self.path} is damaged: the file 'synced' is missing")
            return True
        if {"state", "incoming"} & names or ("synced" in names and "db.new" not in names):
            raise WrongDataError(f"{self.path} is damaged: the database 'db' is missing")
        foreign = sorted(names - {"db.new", "synced"})
        if foreign:
            raise WrongDataError(f"{self.path} is not a data folder: it holds {', '.join(foreign[:3])}")
        return False

    def start_database(self) -> Path:
        """A new, empty folder for a database.  What an earlier attempt left is removed."""
        try:
            self._synced_path.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.rmtree(self._new_database)
            self._new_database.mkdir(mode=0o700)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from None
        return self._new_database

    def finish_database(self, written: int) -> None:
        """Give the new database, which is whole and closed and holds `written` writes, its name `db`."""
        try:
            slot = self._slot(written)
            self._synced_path.write_bytes(slot.ljust(_SLOT_DISTANCE, b"\0") + slot)
            with self._synced_path.open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(self._new_database)
            self._new_database.rename(self.database)
            sync_folder(self.path)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from None

    def make_state(self) -> None:
        """Make the folder of the state if it is missing."""
        try:
            if not self.state.is_dir():
                self.state.mkdir(mode=0o700)
                sync_folder(self.path)
        except OSError as error:
            raise StoreError(f"{self.state} cannot be made: {error.strerror}") from None

    @staticmethod
    def _slot(written: int) -> bytes:
        number = written.to_bytes(8, "big")
        return number + crc32(number).to_bytes(4, "big")

    def synced(self) -> int:
        """The number of writes that the database must hold at least."""
        try:
            self._synced = os.open(self._synced_path, os.O_RDWR)
            data = os.pread(self._synced, 2 * _SLOT_DISTANCE, 0)
        except OSError as error:
            raise StoreError(f"{self._synced_path} cannot be opened: {error.strerror}") from None
        slots = (data[:_SLOT_SIZE], data[_SLOT_DISTANCE : _SLOT_DISTANCE + _SLOT_SIZE])
        numbers = [int.from_bytes(slot[:8], "big") for slot in slots]
        whole = [number for number, slot in zip(numbers, slots) if self._slot(number) == slot]
        if not whole:
            raise WrongDataError(f"{self._synced_path} is damaged")
        return max(whole)

    def set_synced(self, written: int) -> None:
        """Note that the write of this number is synced.  Raises OSError.

        The note itself is not synced, because that would cost as much as the write.  It is exact when the
        process dies; when the host dies, it is at most as old as the system's write-back.
        """
        if self._synced is None:
            raise RuntimeError("`synced` was not read")
        os.pwrite(self._synced, self._slot(written), written % 2 * _SLOT_DISTANCE)

    def close(self) -> None:
        """Unlock."""
        for descriptor in (self._synced, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._synced = self._lock = None
