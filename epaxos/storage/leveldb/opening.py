"""Opening the database of a data folder: it is made if it is new, else checked for losses and damage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import randbelow
from typing import Any

from twisted.logger import Logger

from epaxos.interfaces import Identity, OutdatedError, Restored, StoreError, WrongDataError
from epaxos.protocol.values.ids import no_deps
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.membership import UID_LIMIT, VERSION, Membership
from epaxos.protocol.values.messages import Batch
from epaxos.storage.folder import DataFolder
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb.epoch_record import (
    EPOCH_KEY,
    PAST_PREFIX,
    decode_epoch_record,
    decode_past,
    raise_format,
)
from epaxos.storage.leveldb.records import (
    CHECKPOINT_KEY,
    FLOOR_KEY,
    FORMATS,
    FOUNDED_KEY,
    IDENTITY_KEY,
    INSTANCE_PREFIX,
    RESERVED_KEY,
    STATE_KEY,
    UID_KEY,
    WRITE_PREFIX,
    RecordFormat,
    check_founders,
    check_identity,
    decode_format,
    decode_founded,
    decode_identity,
    decode_number,
    decode_uid,
    encode_founded,
    encode_identity,
    encode_uid,
)
from epaxos.storage.leveldb.sequence import WriteSequence
from epaxos.storage.leveldb.torn_log import cut_torn_end
from epaxos.storage.state.manifest import Manifest, StateFile, decode_manifest
from epaxos.storage.state.reading import read_base, read_logs

__all__ = ["errors_of", "make_database", "new_uid", "open_database", "open_unknown", "restore", "text_of"]

WRITE_BUFFER_BYTES = 8 << 20
"""The bytes after which LevelDB begins a new log.  Two logs exist at a time."""
KEPT_BYTES = 4 * WRITE_BUFFER_BYTES
"""See WriteSequence: more bytes than the logs can hold."""

_TOO_SHORT = re.compile(r"\.(ldb|sst): Invalid argument$")
"""What LevelDB says of a table that ends before the place where it has to read."""

_log = Logger(namespace="epaxos.storage")


def text_of(error: BaseException) -> str:
    """The text of an error of LevelDB, or of any other."""
    if isinstance(error, engine.Error) and error.args and isinstance(error.args[0], bytes):
        return error.args[0].decode(errors="replace")
    return str(error) or type(error).__name__


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Raise a StoreError about `path` instead of an error of LevelDB."""
    try:
        yield
    except engine.CorruptionError as error:
        raise WrongDataError(f"{path} is damaged: {text_of(error)}") from None
    except engine.IOError as error:
        if "/LOCK: " in text_of(error):
            raise StoreError(f"{path} is in use by another process") from None
        if _TOO_SHORT.search(text_of(error)):
            raise WrongDataError(f"{path} is damaged: {text_of(error)}: it is empty, or cut") from None
        raise StoreError(f"{path} cannot be used: {text_of(error)}") from None
    except engine.Error as error:
        raise WrongDataError(f"{path} is damaged: {text_of(error)}") from None


def _open(path: Path, create: bool = False) -> Any:
    return engine.DB(
        str(path),
        create_if_missing=create,
        error_if_exists=create,
        paranoid_checks=True,
        write_buffer_size=WRITE_BUFFER_BYTES,
    )


def open_database(folder: DataFolder, identity: Identity) -> tuple[Any, Identity, WriteSequence, bool]:
    """The database, its own identity, its write sequence, and whether it is new.

    `folder` is locked.  Raises StoreError.
    """
    with errors_of(folder.path):
        fresh = not folder.holds_database()
        if fresh:
            folder.finish_database(make_database(folder, identity, new_uid(), None))
        db = _open_existing(folder)
        try:
            held = _check_owner(db, folder, identity)
            sequence, _ = _check_writes(db, folder)
            if db.get(UID_KEY, verify_checksums=True) is None:
                _give_uid(db, folder, sequence)
            return db, held, sequence, fresh
        except BaseException:
            db.close()
            raise


def open_unknown(folder: DataFolder) -> tuple[Any, int, Identity, WriteSequence, int]:
    """The database of a folder whoever it belongs to, its format, its identity, its write sequence, and the
    number of writes that it must hold.  Raises StoreError."""
    with errors_of(folder.path):
        db = _open_existing(folder)
        try:
            format, identity = _identity(db, folder)
            return db, format, identity, *_check_writes(db, folder)
        except BaseException:
            db.close()
            raise


def make_database(
    folder: DataFolder,
    identity: Identity,
    uid: int,
    founded: Membership | None,
    records: Mapping[bytes, bytes] = {},
) -> int:
    """Make the new database of a folder, which `finish_database` gives its name.  Returns its last write.

    `records`: what it holds beside.  Raises engine.Error, StoreError.
    """
    with closing(_open(folder.start_database(), create=True)) as db, db.write_batch(sync=True) as batch:
        sequence = WriteSequence(1, 0, KEPT_BYTES)
        held = encode_identity(identity)
        batch.put(IDENTITY_KEY, held if founded is None else raise_format(held, founded))
        batch.put(UID_KEY, encode_uid(uid))
        batch.put(FOUNDED_KEY, encode_founded(founded))
        for key, value in records.items():
            batch.put(key, value)
        sequence.add_to(batch)
    return int(sequence.last)


def new_uid() -> int:
    """64 random bits, not all zero."""
    return 1 + randbelow(UID_LIMIT - 1)


def _give_uid(db: Any, folder: DataFolder, sequence: WriteSequence) -> None:
    """Give a uid to a folder of a version that knew of none."""
    with db.write_batch(sync=True) as batch:
        batch.put(UID_KEY, encode_uid(new_uid()))
        sequence.add_to(batch)
    try:
        folder.set_synced(sequence.last)
    except OSError as error:
        raise StoreError(f"{folder.path} cannot be written: {error.strerror}") from None


def _open_existing(folder: DataFolder) -> Any:
    try:
        return _open(folder.database)
    except engine.CorruptionError:
        done = cut_torn_end(folder.database, folder.path)
        if done is None:
            raise
        _log.warn("{path}: {done}", path=str(folder.path), done=done)
        return _open(folder.database)


def _identity(db: Any, folder: DataFolder) -> tuple[int, Identity]:
    """The format of the data, and their owner.  Raises StoreError, and OutdatedError for a later format."""
    held = db.get(IDENTITY_KEY, verify_checksums=True)
    if held is None:
        raise WrongDataError(f"{folder.path} is not a data folder: its database has no identity")
    try:
        format = decode_format(held)
        if format > FORMATS[-1]:
            raise OutdatedError(
                f"{folder.path} is in storage format {format}, and this program knows only formats"
                f" {FORMATS[0]} to {FORMATS[-1]}: upgrade it"
            )
        return format, decode_identity(held)
    except ValueError as why:
        raise WrongDataError(f"{folder.path} cannot be used: {why}") from None


def _check_owner(db: Any, folder: DataFolder, identity: Identity) -> Identity:
    """The identity of the data, which serve the owner `identity`.  Raises WrongDataError when they do not."""
    _, held = _identity(db, folder)
    is_in_first_epoch = db.get(EPOCH_KEY) is None
    try:
        check_identity(held, identity)
        if is_in_first_epoch:
            check_founders(held.epoch, identity.epoch, bool(db.get(FOUNDED_KEY)))
    except ValueError as why:
        raise WrongDataError(f"{folder.path} cannot be used: {why}") from None
    return held


def _check_writes(db: Any, folder: DataFolder) -> tuple[WriteSequence, int]:
    """The sequence of writes, and the number of those that must be there.

    Raises WrongDataError when a write is missing.
    """
    try:
        sequence = WriteSequence.restore(_scan(db, WRITE_PREFIX), KEPT_BYTES)
        synced = folder.synced()
        if sequence.last < synced:
            raise ValueError(f"write {synced} was synced, and {sequence.last} is the last that is there")
    except ValueError as why:
        raise WrongDataError(f"{folder.path} is damaged: {why}") from None
    return sequence, synced


def _scan(db: Any, prefix: bytes) -> Any:
    return db.iterator(prefix=prefix, verify_checksums=True, fill_cache=False)


def restore(db: Any, folder: DataFolder, format: RecordFormat, fresh: bool) -> tuple[Restored, Manifest]:
    """What the database and the files of the state hold, and the manifest of these files.

    Records, base and batches are read while they are iterated.  Raises StoreError, at once or then.
    """
    path = folder.path
    with errors_of(path):
        reserved = db.get(RESERVED_KEY, verify_checksums=True)
        floor = db.get(FLOOR_KEY, verify_checksums=True)
        checkpoint = db.get(CHECKPOINT_KEY, verify_checksums=True)
        files = db.get(STATE_KEY, verify_checksums=True)
        uid = db.get(UID_KEY, verify_checksums=True)
        founded = db.get(FOUNDED_KEY, verify_checksums=True)
        epoch = db.get(EPOCH_KEY, verify_checksums=True)
        past = [value for _, value in _scan(db, PAST_PREFIX)]
        has_instances = any(True for _ in _scan(db, INSTANCE_PREFIX))
    try:
        opened = None if epoch is None else decode_epoch_record(epoch, format.n)
        if opened is not None:
            format = RecordFormat(opened.membership.epoch)
        nothing = no_deps(format.epoch)
        executed, beyond = format.decode_checkpoint(checkpoint) if checkpoint else (nothing, ())
        manifest = decode_manifest(files) if files is not None else Manifest(StateFile(0))
        if (files is None) is not (checkpoint is None):
            raise ValueError("it knows its state and not how far it is, or the other way round")
        known = opened.membership if opened is not None else decode_founded(founded or b"")
        if known is not None and known.version > VERSION:
            raise OutdatedError(
                f"{path} is of version {known.version}, and this program knows version {VERSION}: upgrade it"
            )
        restored = Restored(
            fresh=fresh,
            reserved=decode_number(reserved) if reserved is not None else 0,
            floor=format.decode_deps(floor) if floor is not None else nothing,
            executed=executed,
            beyond=beyond,
            records=_records(db, path, format),
            base=read_base(folder.state, manifest),
            batches=read_logs(folder.state, manifest),
            uid=decode_uid(uid) if uid is not None else 0,  # `open_database` gives one
            founded=known,
            opened=opened,
            past=decode_past(past),
            unfounded=founded == b"" and not (reserved or floor or checkpoint or has_instances),
        )
        return restored, manifest
    except ValueError as why:
        raise WrongDataError(f"{path} is damaged: {why}") from None


def _records(db: Any, path: Path, format: RecordFormat) -> Iterator[tuple[InstanceRecord, Batch | None]]:
    with errors_of(path):
        try:
            yield from _pair(_scan(db, format.prefix), format)
        except ValueError as why:
            raise WrongDataError(f"{path} is damaged: {why}") from None


def _pair(
    held: Iterator[tuple[bytes, bytes]], format: RecordFormat
) -> Iterator[tuple[InstanceRecord, Batch | None]]:
    """Each record with the batch that follows it, if there is one."""
    record: InstanceRecord | None = None
    for key, value in held:
        id, is_batch = format.decode_instance_key(key)
        if is_batch:
            if record is None or record.id != id:
                raise ValueError(f"the record of instance {id} is missing")
            yield record, format.decode_batch(id, value)
            record = None
        else:
            if record is not None:
                yield _without_batch(record)
            record = format.decode_record(id, value)
    if record is not None:
        yield _without_batch(record)


def _without_batch(record: InstanceRecord) -> tuple[InstanceRecord, None]:
    if record.value is Value.PROPOSED:
        raise ValueError(f"the batch of instance {record.id} is missing")
    return record, None
