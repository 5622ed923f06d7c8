"""Takes a backup from a replica to this host: piece by piece, checked, and resumed where it was.

DIR/unfinished.json    the name of the backup at the replica, until everything is here
DIR/3.base             a file of the state, as far as it is here
DIR/manifest.json      the end: everything is here, and was checked
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from secrets import token_hex
from typing import Any

from epaxos.ctl.connection import Connection
from epaxos.ctl.errors import CtlError
from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.backup.folder import READ_BYTES_MAX, is_backup_name
from epaxos.storage.backup.manifest import MANIFEST, BackupManifest, decode_backup, encode_backup, name_of
from epaxos.storage.folder import sync_folder
from epaxos.storage.state.names import found_in
from epaxos.storage.state.pieces import PieceCheck

__all__ = ["Pulling"]


class Pulling:
    """A backup on its way to the folder `path`.  Everything raises CtlError, AskError, OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path / "unfinished.json"
        self.name = ""

    def begin(self) -> None:
        """Make the folder, or find what an earlier attempt has left there."""
        if (self._path / MANIFEST).exists():
            raise CtlError(f"{self._path} holds a complete backup already")
        if self._unfinished.exists():
            self.name = self._read_name()
            return
        if self._path.exists() and any(path.suffix != ".new" for path in self._path.iterdir()):
            raise CtlError(f"{self._path} is not empty, and holds no unfinished backup")
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name = f"{datetime.now(timezone.utc):ctl-%Y%m%dT%H%M%SZ}-{token_hex(4)}"
        self._write(self._unfinished, json.dumps({"name": self.name}).encode())

    def _read_name(self) -> str:
        try:
            name = json.loads(self._unfinished.read_bytes())["name"]
            if is_backup_name(name):
                return str(name)
        except (ValueError, KeyError, TypeError):
            pass
        raise CtlError(f"{self._unfinished} is damaged: remove {self._path}, and begin anew")

    def manifest(self, connection: Connection) -> BackupManifest:
        """That of the backup, which the replica makes now unless it has it already."""
        kept = _document(connection, "BACKUPS")
        found = [each for each in kept if each.get("name") == self.name] if isinstance(kept, list) else []
        if found:
            return _manifest_in(found[0])
        for path in found_in(self._path):  # of a backup that is gone
            path.unlink()
        return _manifest_in(_document(connection, "BACKUP", self.name))

    def take(self, connection: Connection, part: StatePart, say: Callable[[int], None]) -> None:
        """Take what is missing of a file.  `say(bytes)` is called for each piece that is here."""
        path = self._path / name_of(part)
        with path.open("a+b") as file:
            check = _checked(file, part)
            say(check.end)
            file.truncate(check.length)
            while check.end < part.length:
                size = min(READ_BYTES_MAX, part.length - check.end)
                words = ("BACKUP-READ", self.name, path.name, str(check.end), str(size))
                data = connection.ask("EPAXOS", *words)
                if not isinstance(data, bytes) or not 0 < len(data) <= size:
                    raise CtlError(f"the replica does not give {path.name} from byte {check.end} on")
                if not check.add(data):
                    raise CtlError(f"what came of {path.name} behind byte {check.length} is damaged")
                file.write(data)
                say(len(data))
            if (check.length, check.crc) != (part.length, part.crc):
                raise CtlError(f"{path.name} is not what the manifest says: remove {self._path}")
            file.flush()
            os.fsync(file.fileno())

    def finish(self, manifest: BackupManifest) -> None:
        """Everything is here."""
        self._write(self._path / MANIFEST, encode_backup(manifest))
        self._unfinished.unlink()
        sync_folder(self._path)

    def _write(self, path: Path, data: bytes) -> None:
        """Write the file, durably, all or nothing."""
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        sync_folder(self._path)


def _checked(file: Any, part: StatePart) -> PieceCheck:
    """The whole pieces that are in the file already."""
    check = PieceCheck()
    file.seek(0)
    while check.end < part.length and (data := file.read(min(READ_BYTES_MAX, part.length - check.end))):
        if not check.add(data):
            break
    return PieceCheck(check.length, check.crc)


def _document(connection: Connection, *words: str) -> Any:
    reply = connection.ask("EPAXOS", *words)
    try:
        return json.loads(reply)
    except (TypeError, ValueError, RecursionError):
        raise CtlError(f"the answer to EPAXOS {words[0]} cannot be understood") from None


def _manifest_in(document: Any) -> BackupManifest:
    try:
        rest = {key: value for key, value in document.items() if key != "name"}
        return decode_backup(json.dumps(rest).encode())
    except (AttributeError, ValueError) as why:
        raise CtlError(f"the manifest of the backup cannot be used: {why}") from None
