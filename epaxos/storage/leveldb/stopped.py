"""Reads the data folder of a replica that does not run, and writes nothing there.

LevelDB cannot open a database without writing to its folder.  So a copy is opened, in the folder for
temporary files: its tables, which are never changed, are links to those of the database; its logs and what
else is small are copied.  The data folder is locked meanwhile, so that no replica starts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from epaxos.interfaces import Identity, StoreError
from epaxos.protocol.values.ids import Deps
from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.folder import DataFolder
from epaxos.storage.leveldb.opening import open_unknown, restore
from epaxos.storage.leveldb.records import RecordFormat
from epaxos.storage.state.manifest import parts_of

__all__ = ["StoppedFolder", "locked_stopped", "read_stopped"]

TABLES = {".ldb", ".sst"}
NOT_COPIED = {"LOCK", "LOG", "LOG.old"}


@dataclass(frozen=True)
class StoppedFolder:
    """What a data folder holds.  All of it was read, and is whole.

    `written`: the number of the last write; `synced`: the number of writes that must be there; `epoch`:
    the number of the newest epoch, 0 before the first turn, to which slots and instances belong; `members`
    are the numbers of its members, none for a folder that waits to join;
    `executed_beyond`: the number of single instances executed beyond `executed`; `records`, `batches`:
    how many of instances the database holds, without those of earlier epochs; `entries`,
    `state_batches`: what base and logs of the state hold; `torn_bytes`: what the next start will cut off
    the log of the database.  `uid`: in hex, if the folder has one.  `incoming_bytes`: what was taken of
    the state of another replica and has no effect yet; None when no transfer is unfinished.

    `parts`: the files of the state; `unexecuted`: how many of `records` are not executed in that state;
    `unfounded`: its replica has never been part of a cluster.
    """

    path: Path
    format: int
    identity: Identity
    uid: str | None
    written: int
    synced: int
    epoch: int
    members: tuple[int, ...]
    reserved: int
    executed: Deps
    executed_beyond: int
    floor: Deps
    records: int
    batches: int
    generation: int
    base_bytes: int
    log_bytes: int
    entries: int
    state_batches: int
    database_bytes: int
    database_log_bytes: int
    torn_bytes: int
    incoming_bytes: int | None
    parts: tuple[StatePart, ...]
    unexecuted: int
    unfounded: bool


def read_stopped(path: str | os.PathLike[str]) -> StoppedFolder:
    """What the folder holds.

    Raises StoreError when it is in use, damaged, or no data folder.  Takes as long as a start of the replica,
    without the state machine.
    """
    with locked_stopped(path) as found:
        return found


@contextmanager
def locked_stopped(path: str | os.PathLike[str]) -> Iterator[StoppedFolder]:
    """As `read_stopped`; no replica can start from the folder until the end of the context."""
    folder = DataFolder(path)
    if not folder.path.is_dir():
        raise StoreError(f"{folder.path} is not a folder")
    folder.lock()
    try:
        if not folder.holds_database():
            raise StoreError(f"{folder.path} holds no data: no replica has started from it")
        yield _read_copy(folder)
    finally:
        folder.close()


def _read_copy(folder: DataFolder) -> StoppedFolder:
    try:
        with tempfile.TemporaryDirectory(prefix="epaxos-inspect-") as name:
            try:
                copy = DataFolder(name)
                sizes = _copy(folder, copy)
                return _read(folder, copy, sizes)
            except StoreError as error:
                raise StoreError(str(error).replace(name, str(folder.path))) from None
    except OSError as error:
        raise StoreError(f"{folder.path} cannot be read: {error.filename}: {error.strerror}") from None


def _copy(folder: DataFolder, copy: DataFolder) -> tuple[int, int]:
    """Make the copy.  Returns the bytes of all files of the database, and those of its logs."""
    size = log_size = 0
    copy.database.mkdir()
    for path in folder.database.iterdir():
        length = path.stat().st_size
        size += length
        if path.suffix == ".log":
            log_size += length
        if path.suffix in TABLES:
            (copy.database / path.name).symlink_to(path.absolute())
        elif path.name not in NOT_COPIED:
            shutil.copyfile(path, copy.database / path.name)
    shutil.copyfile(folder.path / "synced", copy.path / "synced")
    copy.state.symlink_to(folder.state.absolute())
    return size, log_size


def _read(folder: DataFolder, copy: DataFolder, sizes: tuple[int, int]) -> StoppedFolder:
    db, format, identity, sequence, synced = open_unknown(copy)
    with closing(copy), closing(db):
        restored, manifest = restore(db, copy, RecordFormat(identity.epoch), fresh=False)
        records = batches = unexecuted = 0
        beyond = set(restored.beyond)
        for record, batch in restored.records:
            records += 1
            batches += batch is not None
            replica, slot = record.id
            unexecuted += slot > restored.executed[replica] and record.id not in beyond
        epoch = identity.epoch if restored.opened is None else restored.opened.membership.epoch
        return StoppedFolder(
            path=folder.path,
            format=format,
            identity=identity,
            uid=f"{restored.uid:016x}" if restored.uid else None,
            written=sequence.last,
            synced=synced,
            epoch=epoch.number,
            members=epoch.members,
            reserved=restored.reserved,
            executed=restored.executed,
            executed_beyond=len(restored.beyond),
            floor=restored.floor,
            records=records,
            batches=batches,
            generation=manifest.base.generation,
            base_bytes=manifest.base.length,
            log_bytes=sum(log.length for log in manifest.logs),
            entries=sum(map(len, restored.base)),
            state_batches=sum(batch.successor is None for _, batch in restored.batches),
            database_bytes=sizes[0],
            database_log_bytes=sizes[1],
            torn_bytes=sum(path.stat().st_size for path in copy.path.glob("*.torn")),
            incoming_bytes=_size(folder.incoming),
            parts=parts_of(manifest),
            unexecuted=unexecuted,
            unfounded=restored.unfounded,
        )


def _size(folder: Path) -> int | None:
    """The bytes of all files in a folder; None when there is none."""
    if not folder.is_dir():
        return None
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
