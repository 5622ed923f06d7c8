"""One file of pieces of the state, which is only appended to."""

from __future__ import annotations

import os
from pathlib import Path

from epaxos.storage.folder import sync_folder
from epaxos.storage.state.manifest import StateFile
from epaxos.storage.state.pieces import frame

__all__ = ["PieceFile"]


class PieceFile:
    """The file `path`, of which the bytes that `counts` names count.

    The first append makes the file, or cuts off what lies behind those bytes.  All methods raise OSError.
    With `sync` False nothing is synced.
    """

    def __init__(self, path: Path, counts: StateFile, sync: bool) -> None:
        self.path = path
        self.counts = counts
        self.unsynced = 0  # bytes
        self._sync = sync
        self._new = not counts.length
        self._descriptor: int | None = None

    def append(self, payload: bytes) -> int:
        """Write a piece.  Returns the bytes that it takes in the file."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.ftruncate(self._descriptor, self.counts.length)
        generation, length, crc = self.counts
        header, crc = frame(payload, crc)
        for data in (header, payload):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        size = len(header) + len(payload)
        self.counts = StateFile(generation, length + size, crc)
        self.unsynced += size
        return size

    def sync(self) -> None:
        """Make durable what was appended, and the entry of the file in its folder."""
        if self.unsynced and self._sync:
            if self._descriptor is None:
                raise RuntimeError(f"{self.path} was closed before it was synced")
            os.fdatasync(self._descriptor)
            if self._new:
                sync_folder(self.path.parent)
                self._new = False
        self.unsynced = 0

    def close(self) -> None:
        """Close the file as it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
