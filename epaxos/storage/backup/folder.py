"""The backups in a data folder.

    backups/NAME/manifest.json    what the backup is (`backup/manifest.py`)
    backups/NAME/3.base           files of the state, which are links to those in `state/`
    backups/.new/                 a backup that is being made; the next start removes it
    backups/.old/                 one that is being removed

The links take no room as long as the state has the same files.  Afterwards the backup is the only one that
has them, so each takes about as many bytes as the state had.  Everything here blocks.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from epaxos.interfaces import Refusal
from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.backup.manifest import MANIFEST, BackupManifest, decode_backup, encode_backup, name_of
from epaxos.storage.folder import sync_folder
from epaxos.storage.state.names import part_path
from epaxos.storage.state.removing import remove_in_steps

__all__ = ["BACKUPS_MAX", "READ_BYTES_MAX", "BackupFolder", "is_backup_name"]

BACKUPS_MAX = 16
"""The most backups in a data folder, because each may take as much room as the state."""
READ_BYTES_MAX = 1 << 20
"""The most bytes that one read answers."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def is_backup_name(text: str) -> bool:
    """Whether a backup may have this name, which is never a path."""
    return _NAME.fullmatch(text) is not None


class BackupFolder:
    """The backups in `path`, which need not be there yet.  With `sync` False nothing is synced.

    Every method raises OSError, and Refusal for what cannot be done; a name is never a path.
    """

    def __init__(self, path: Path, *, sync: bool) -> None:
        self.path = path
        self._sync = sync
        self._new = path / ".new"
        self._old = path / ".old"

    # -- making one

    def prepare(self, name: str) -> None:
        """Make an empty folder for a backup of this name."""
        names = self.names()
        if name in names:
            raise Refusal(f"there is a backup {name} already")
        self._check(name)
        if len(names) >= BACKUPS_MAX:
            raise Refusal(f"there are {BACKUPS_MAX} backups already: delete one first")
        self.remove_left_over()
        if not self.path.is_dir():
            self.path.mkdir(mode=0o700)
            self._sync_folder(self.path.parent)
        self._new.mkdir(mode=0o700)

    def link(self, state: Path, parts: Iterable[StatePart]) -> None:
        """Link the files in the folder `state` that the parts name.  Takes no time."""
        for part in parts:
            path = part_path(state, part.generation, part.is_base)
            os.link(path, self._new / path.name)

    def finish(self, name: str, manifest: BackupManifest) -> None:
        """All files are there: give the backup its manifest, and its name, durably."""
        with (self._new / MANIFEST).open("wb") as file:
            file.write(encode_backup(manifest))
            file.flush()
            if self._sync:
                os.fsync(file.fileno())
        self._sync_folder(self._new)
        self._new.rename(self.path / name)
        self._sync_folder(self.path)

    def remove_left_over(self) -> None:
        """Remove what was not finished, and what was not removed completely."""
        for folder in (self._new, self._old):
            if folder.is_dir():
                for path in folder.iterdir():
                    remove_in_steps(path)
                shutil.rmtree(folder, ignore_errors=True)

    # -- those that are complete

    def names(self) -> list[str]:
        """Their names, in order."""
        if not self.path.is_dir():
            return []
        return sorted(path.name for path in self.path.iterdir() if is_backup_name(path.name))

    def manifest(self, name: str) -> BackupManifest:
        """What the backup says of itself."""
        self._check(name)
        try:
            return decode_backup((self.path / name / MANIFEST).read_bytes())
        except FileNotFoundError:
            raise Refusal(f"there is no backup {name}") from None
        except ValueError as why:
            raise Refusal(f"the backup {name} cannot be used: {why}") from None

    def read(self, name: str, file: str, offset: int, size: int) -> bytes:
        """Bytes of a file, at most READ_BYTES_MAX, and none behind those that count."""
        found = [part for part in self.manifest(name).parts if name_of(part) == file]
        if not found:
            raise Refusal(f"the backup {name} has no such file")
        size = min(size, found[0].length - offset, READ_BYTES_MAX)
        if offset < 0 or size <= 0:
            return b""
        with (self.path / name / file).open("rb") as opened:
            return os.pread(opened.fileno(), size, offset)

    def delete(self, name: str) -> None:
        """Remove a backup, also one that is damaged.  It is not there any more from the first moment on."""
        self._check(name)
        if name not in self.names():
            raise Refusal(f"there is no backup {name}")
        self.remove_left_over()
        (self.path / name).rename(self._old)
        self._sync_folder(self.path)
        self.remove_left_over()

    # -- details

    @staticmethod
    def _check(name: str) -> None:
        if not is_backup_name(name):
            raise Refusal(
                "the name of a backup is 1 to 64 letters, digits, and _ . -, the first a letter or digit"
            )

    def _sync_folder(self, path: Path) -> None:
        if self._sync:
            sync_folder(path)
