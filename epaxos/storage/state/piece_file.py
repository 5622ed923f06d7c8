"""One file of pieces of the state, of which the beginning counts: read, checked, appended to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from epaxos.interfaces import StoreError
from epaxos.storage.folder import sync_folder
from epaxos.storage.leveldb.records import Part
from epaxos.storage.state.pieces import frame, read_pieces

__all__ = ["PieceFile", "read_part"]


T = TypeVar("T")


def read_part(path: Path, part: Part, decode: Callable[[bytes], T]) -> Iterator[T]:
    """The payloads of this part of the file, decoded.  Raises StoreError when it is missing or damaged,
    also where `decode` raises ValueError."""
    if not part.length:
        return
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < part.length:
                raise ValueError(f"it has {size} of {part.length} bytes")
            yield from map(decode, read_pieces(file, part.length, part.crc))
    except FileNotFoundError:
        raise StoreError(f"{path} is damaged: it is missing") from None
    except ValueError as why:
        raise StoreError(f"{path} is damaged: {why}") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None


class PieceFile:
    """A file that is made, or cut behind `part`, when the first piece is appended.

    Everything raises OSError.  With `sync` False nothing is synced.
    """

    def __init__(self, path: Path, part: Part, sync: bool) -> None:
        self.path = path
        self.part = part
        self.unsynced = 0  # bytes
        self._sync = sync
        self._new = not part.length
        self._descriptor: int | None = None

    def append(self, payload: bytes) -> int:
        """Write a piece.  Returns how many bytes it takes."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.ftruncate(self._descriptor, self.part.length)
        generation, length, crc = self.part
        header, crc = frame(payload, crc)
        for data in (header, payload):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        size = len(header) + len(payload)
        self.part = Part(generation, length + size, crc)
        self.unsynced += size
        return size

    def sync(self) -> None:
        """Make durable what was appended, and that there is such a file."""
        if self.unsynced and self._sync:
            assert self._descriptor is not None
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
