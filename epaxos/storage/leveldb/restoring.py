"""Makes the data folders of a new cluster from a state: that of a backup, or of a stopped replica's folder.

The state goes there as it is, file by file, with its checksums; nothing else does.  So the new cluster, which
has a uuid of its own, begins in epoch 0 with this state and without a single instance.  All of its folders
are made at once, and each names the uids of all: so nobody else is let in, and a majority of them is enough
to start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import randbelow
from typing import NamedTuple

from epaxos.interfaces import Identity, StoreError, WrongDataError
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import no_deps
from epaxos.protocol.values.membership import UUID_LIMIT, VERSION, Member, Membership
from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.backup.manifest import MANIFEST, BackupManifest, decode_backup, name_of
from epaxos.storage.folder import DataFolder, sync_folder
from epaxos.storage.leveldb.opening import errors_of, make_database, new_uid
from epaxos.storage.leveldb.records import CHECKPOINT_KEY, STATE_KEY, RecordFormat
from epaxos.storage.leveldb.stopped import StoppedFolder, locked_stopped, read_stopped
from epaxos.storage.state.manifest import encode_manifest, manifest_of
from epaxos.storage.state.pieces import PieceCheck

__all__ = ["Source", "open_source", "read_backup", "restore_folders"]

COPIED_BYTES = 1 << 20
"""The bytes that are copied, and checked, in one step."""


class Source(NamedTuple):
    """A state that a new cluster can begin with.

    `files`: the folder of its files, `parts`; `epoch`, `executed`: how far it is, the latter as a number of
    instances of this epoch.  Of `backup` and `folder` one says where it comes from, and the other is None.
    """

    path: Path
    cluster: str
    state_machine: str
    epoch: int
    executed: int
    files: Path
    parts: tuple[StatePart, ...]
    backup: BackupManifest | None
    folder: StoppedFolder | None

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(part.length for part in self.parts)


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """The state in a folder, which is a backup or a stopped replica's.

    The data folder of a replica is locked until the end of the context.  Raises StoreError.
    """
    if (path / MANIFEST).exists():
        yield _backup_in(path)
        return
    with locked_stopped(path) as found:
        if found.unfounded and not found.parts:
            raise StoreError(f"{path} holds no state: its replica has never been part of a cluster")
        executed = sum(found.executed) + found.executed_beyond
        identity = found.identity
        yield Source(
            *(path, identity.cluster, identity.state_machine, found.epoch, executed),
            *(path / "state", found.parts, None, found),
        )


def _backup_in(path: Path) -> Source:
    try:
        found = decode_backup((path / MANIFEST).read_bytes())
    except ValueError as why:
        raise WrongDataError(f"{path} is damaged: {why}") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    if found.version > VERSION:
        raise StoreError(f"{path} is of version {found.version}, and this program knows version {VERSION}")
    return Source(path, found.cluster, found.state_machine, found.epoch, 0, path, found.parts, found, None)


def read_backup(path: Path) -> BackupManifest:
    """What the backup in a folder is.  All of its files are read and checked.  Raises StoreError."""
    source = _backup_in(path)
    for part in source.parts:
        for _ in _pieces(source, part):
            pass
    assert source.backup is not None
    return source.backup


def restore_folders(
    source: Source, cluster: str, paths: Sequence[Path], say: Callable[[int], None]
) -> Membership:
    """Make the data folders of the members 0, 1, … of the new cluster `cluster`, and return its members.

    Everything is checked while it is copied, and read once more at the end.  `say(bytes)` is called after
    each step.  Raises StoreError, also when a folder is not empty.
    """
    members = tuple(Member(number, new_uid()) for number in range(len(paths)))
    membership = Membership(1 + randbelow(UUID_LIMIT - 1), 0, VERSION, members)
    for path in paths:
        _check_empty(path)
    with ExitStack() as stack:
        folders: list[tuple[DataFolder, int]] = []
        for path in paths:
            folder = DataFolder(path)
            folder.lock()
            stack.callback(folder.close)
            folders.append((folder, _fill(folder, source, cluster, membership, len(folders), say)))
        for folder, written in folders:  # before, no replica starts from any of them
            folder.finish_database(written)
    for path in paths:
        if read_stopped(path).parts != source.parts:
            raise StoreError(f"{path} does not hold what was copied there")
    return membership


def _check_empty(path: Path) -> None:
    try:
        if path.exists() and any(name != "lost+found" for name in os.listdir(path)):
            raise StoreError(f"{path} is not empty: restore makes new data folders only")
    except OSError as error:
        raise StoreError(f"{path} cannot be used: {error.strerror}") from None


def _fill(
    folder: DataFolder,
    source: Source,
    cluster: str,
    membership: Membership,
    number: int,
    say: Callable[[int], None],
) -> int:
    """Make the state, and the database without its name.  Returns the number of its last write."""
    folder.make_state()
    for part in source.parts:
        _copy(source, part, folder.state / name_of(part), say)
    epoch = Epoch.first(len(membership.members))
    identity = Identity(cluster, number, epoch, source.state_machine)
    records = {
        CHECKPOINT_KEY: RecordFormat(epoch).encode_checkpoint(no_deps(epoch), ()),
        STATE_KEY: encode_manifest(manifest_of(source.parts)),
    }
    with errors_of(folder.path):
        sync_folder(folder.state)
        return make_database(folder, identity, membership.members[number].uid, membership, records)


def _copy(source: Source, part: StatePart, target: Path, say: Callable[[int], None]) -> None:
    """Copy what counts of a file, and check it on the way."""
    try:
        with target.open("xb") as written:
            for data in _pieces(source, part):
                written.write(data)
                say(len(data))
            written.flush()
            os.fsync(written.fileno())
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}") from None


def _pieces(source: Source, part: StatePart) -> Iterator[bytes]:
    """What counts of a file, in steps, each of which is checked before; at the end, the whole is.  Raises
    StoreError."""
    origin = source.files / name_of(part)
    check = PieceCheck()
    try:
        with origin.open("rb") as read:
            while check.end < part.length:
                data = read.read(min(COPIED_BYTES, part.length - check.end))
                if not data:
                    raise WrongDataError(f"{origin} is damaged: it has {check.end} of {part.length} bytes")
                if not check.add(data):
                    raise WrongDataError(f"{origin} is damaged: a piece of it is not what was written there")
                yield data
    except FileNotFoundError:
        raise WrongDataError(f"{origin} is damaged: it is missing") from None
    except OSError as error:
        raise StoreError(f"{origin} cannot be read: {error.strerror}") from None
    if (check.length, check.crc) != (part.length, part.crc):
        raise WrongDataError(f"{origin} is damaged: its first {part.length} bytes are not those of the state")
